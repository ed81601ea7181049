"""The secrets of a preview on real parts: what its own program finds, and what comes another way while it is live."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import RunningCluster
from tests.world.database import missing_server
from tests.world.pull_request import Page, PullRequest
from tests.world.visitor import SEE_OTHER, Visitor, ask
from tests.world.waiting import wait_until
from tests.world.world import SAMPLE, World, WorldOptions

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

CANARY, ANOTHER = "canary-Pa55word-{{ never }}", "canary-another-one"
ROUTE = 'routes.HandleFunc("GET /healthz"'
TELL = """routes.HandleFunc("GET /told", func(answer http.ResponseWriter, _ *http.Request) {
		mounts, _ := os.ReadFile("/proc/self/mounts")
		told := map[string]any{"variables": os.Environ(), "mounts": string(mounts)}
		_ = json.NewEncoder(answer).Encode(told)
	})
	"""
"""What a pull request may always add: it runs with its secrets, and can show them."""
INDISCREET = {
    "main.go": (SAMPLE / "main.go").read_text().replace(ROUTE, f"{TELL}{ROUTE}"),
}

Object = dict[str, Any]


@pytest.fixture(scope="module")
def world(cluster: RunningCluster) -> Iterator[World]:
    """Whose previews have a database and a secret of the project, both sealed."""
    if missing := missing_server():
        pytest.skip(missing)
    options = WorldOptions(
        name="e2e-secrets",
        project="e2e-secrets-shop",
        hostname="{project}-pr-{number}.preview.localhost",
        databases=True,
    )
    with World(cluster, options) as world:
        world.manager.write_secret("payment-key", CANARY)
        deliver_by(world, "sealed-secrets")
        yield world


def deliver_by(world: World, provider: str) -> None:
    """Have both take this way from now on."""
    file = world.manager.directory / "payment-key"
    own = {"name": "shop", "provider": provider, "files": {"PAYMENT_KEY": str(file)}}

    def change(known: Object) -> None:
        [project] = known["projects"]
        project["secrets"] = [own]
        project["database"]["secret"] = {"provider": provider}

    world.manager.stop()
    world.reconfigure(change)
    world.manager.start()


@pytest.fixture(scope="module")
def pull_request(world: World) -> PullRequest:
    opened = world.open_pull_request(
        "indiscreet", Page("Indiscreet", "It tells all that it knows."), files=INDISCREET
    )
    opened.wait_until_live()
    wait_until("its page is shown", opened.shows_its_commit, explain=opened.explain)
    return opened


def told(pull_request: PullRequest) -> Object:
    """What its program finds in its pod, by its own words."""
    found: Object = json.loads(ask(f"{pull_request.url}told").body)
    return found


def variables(pull_request: PullRequest) -> dict[str, str]:
    return dict(each.split("=", 1) for each in told(pull_request)["variables"])


def in_cluster(world: World, pull_request: PullRequest) -> dict[str, Object]:
    """The Secrets of its namespace, by name."""
    path = f"/api/v1/namespaces/{pull_request.names.namespace}/secrets"
    return {found["metadata"]["name"]: found for found in world.kubernetes.list(path)}


def owners(world: World, pull_request: PullRequest) -> dict[str, list[str]]:
    return {
        name: [each["kind"] for each in found["metadata"].get("ownerReferences", [])]
        for name, found in in_cluster(world, pull_request).items()
    }


def test_a_pod_finds_what_was_sealed_for_it_and_nothing_else(
    world: World, pull_request: PullRequest
) -> None:
    found = told(pull_request)
    mine = variables(pull_request)

    assert mine["PAYMENT_KEY"] == CANARY
    assert mine["DATABASE_URL"].startswith("postgresql://preview_e2e_secrets_shop_pr_")
    assert owners(world, pull_request) == {"database": ["SealedSecret"], "shop": ["SealedSecret"]}
    assert "/var/run/secrets" not in found["mounts"]
    secrets = {
        file.name: file.read_text().strip()
        for file in world.manager.directory.iterdir()
        if file.name in {"api-token", "forge-token", "gitops-token", "webhook-secret"}
    }
    assert len(secrets) == 4
    opened = [
        base64.b64decode(value).decode()
        for each in in_cluster(world, pull_request).values()
        for value in each["data"].values()
    ]
    everything = json.dumps([found, opened])
    assert [name for name, secret in secrets.items() if secret in everything] == []


def test_what_it_finds_is_nowhere_to_be_read(world: World, pull_request: PullRequest) -> None:
    said = {
        "Git": world.gitops.git("fetch", "--quiet", "origin", "main")
        + world.gitops.git("log", "-p", "FETCH_HEAD"),
        "API": str(pull_request.preview()),
        "comments": str(pull_request.comments()),
        "status": str(pull_request.status()),
        "log": world.manager.log.read_text(),
        "Application": str(pull_request.application()),
    }
    assert "SealedSecret" in said["Git"]
    assert [place for place, text in said.items() if CANARY in text] == []


def test_another_value_reaches_a_preview_that_is_live(
    world: World, pull_request: PullRequest
) -> None:
    world.manager.write_secret("payment-key", ANOTHER)
    wait_until(
        "its program finds it",
        lambda: variables(pull_request)["PAYMENT_KEY"] == ANOTHER,
        explain=pull_request.explain,
    )
    pull_request.wait_until_live()


@pytest.mark.parametrize(
    ("provider", "owner"), [("kubernetes", []), ("sealed-secrets", ["SealedSecret"])]
)
def test_they_come_another_way_while_it_is_live(
    world: World, pull_request: PullRequest, provider: str, owner: list[str]
) -> None:
    """From sealed ones to the manager's own, and back again. Nobody deletes a Secret in between."""
    assert pull_request.order(f"Before {provider}").status == SEE_OTHER
    orders, before = pull_request.orders(), in_cluster(world, pull_request)
    password = variables(pull_request)["PGPASSWORD"]
    with Visitor(pull_request.url) as visitor:
        deliver_by(world, provider)
        wait_until(
            "its program has a new password",
            lambda: variables(pull_request)["PGPASSWORD"] != password,
            explain=pull_request.explain,
        )
        wait_until(
            "it can read its orders",
            lambda: pull_request.orders() == orders,
            explain=pull_request.explain,
        )
        pull_request.wait_until_live()
    assert visitor.visits
    assert visitor.failures() == []
    assert owners(world, pull_request) == {"database": owner, "shop": owner}
    assert variables(pull_request)["PAYMENT_KEY"] == ANOTHER
    after = in_cluster(world, pull_request)
    assert {name: found["metadata"]["uid"] for name, found in after.items()} == {
        name: found["metadata"]["uid"] for name, found in before.items()
    }


def test_nothing_is_left_of_it(pull_request: PullRequest) -> None:
    pull_request.close()
    pull_request.wait_until_removed()
