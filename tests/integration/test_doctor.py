"""`previews doctor` over servers that answer as the real ones do, and that do not."""

import base64
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from previews import doctor_cluster
from previews.adapters.isolation_probe import Reached
from previews.adapters.store import SingleManagerLock
from previews.doctor import CHECKS, Check, examine
from previews.doctor_case import Case, fine
from previews.domain.findings import Finding, Level
from previews.errors import TransientError
from previews.settings import load_settings
from tests.git_http_server import PASSWORD, USER, GitHTTPServer, serve_git
from tests.git_remote import GitRemote
from tests.integration.scripted_http import Asked, Reply, ScriptedServer

PREVIEWS = [sys.executable, "-m", "previews"]
ARGO_CD = "/apis/argoproj.io/v1alpha1"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def metadata_list(*names: str, made_at: datetime | None = None) -> dict[str, Any]:
    at = (made_at or datetime.now(UTC)).isoformat()
    return {
        "kind": "PartialObjectMetadataList",
        "metadata": {"resourceVersion": "9"},
        "items": [{"metadata": {"name": name, "creationTimestamp": at}} for name in names],
    }


def bindings(**names: str) -> dict[str, Any]:
    """Of admission policies, by the instance whose namespaces they are for."""
    return {
        "metadata": {"resourceVersion": "9"},
        "items": [
            {
                "metadata": {"name": name},
                "spec": {
                    "matchResources": {
                        "namespaceSelector": {"matchLabels": {"previews.dev/instance": instance}}
                    }
                },
            }
            for instance, name in names.items()
        ],
    }


class Town:
    """Every outside system of one configuration, in good health until a test says otherwise."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self.remote = GitRemote(directory / "remote")
        self.remote.commit({"previews/roots/shop-0.yaml": "kind: Application\n"})
        self.git: GitHTTPServer = stack.enter_context(serve_git(self.remote.bare))
        self.forge = stack.enter_context(ScriptedServer(self.answer_as_forge))
        self.api = stack.enter_context(ScriptedServer(self.answer_as_api))
        self.registry = stack.enter_context(ScriptedServer(self.answer_as_registry))
        self.ingress = stack.enter_context(ScriptedServer(self.answer_as_ingress))
        self.metrics = stack.enter_context(ScriptedServer(self.answer_as_metrics))
        self.repository: dict[str, Any] = {"permissions": {"pull": True, "push": True}}
        self.refused: set[tuple[str, str]] = set()
        """Verb and kind of the rights that the manager lacks."""
        self.reads_secrets = False
        self.version = {"major": "1", "minor": "34+", "gitVersion": "v1.34.1"}
        self.root: dict[str, Any] | None = {
            "spec": {
                "project": "acme-previews",
                "source": {
                    "repoURL": self.git.url,
                    "targetRevision": "refs/heads/main",
                    "path": "previews/roots",
                },
            },
            "status": {
                "sync": {"status": "Synced"},
                "reconciledAt": datetime.now(UTC).isoformat(),
            },
        }
        self.bindings: Callable[[Reply], None] = lambda reply: reply.json(
            200, bindings(acme="previews-acme-services", other="previews-other-services")
        )
        self.leftovers = metadata_list()
        self.page: dict[str, str] = {"X_Previews_Page": "unknown"}
        self.page_status = 404
        self.zone = "preview.localhost"
        for name in ("forge-token", "secret"):
            (directory / name).write_text(f"canary-{name}\n")
        (directory / "git-password").write_text(f"{PASSWORD}\n")
        pair = base64.b64encode(b"robot:canary-registry").decode()
        auths = {f"127.0.0.1:{self.registry.port}": {"auth": pair}}
        (directory / "config.json").write_text(json.dumps({"auths": auths}))
        (directory / "data").mkdir()
        self.kubeconfig = directory / "kubeconfig"
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "current-context": "it",
                    "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
                    "clusters": [{"name": "it", "cluster": {"server": self.api.url}}],
                    "users": [{"name": "it", "user": {"token": "canary-cluster"}}],
                }
            )
        )
        self.configuration: dict[str, Any] = {
            "instance": "acme",
            "data_directory": str(directory / "data"),
            "forge": {
                "kind": "gitea",
                "api_url": self.forge.url,
                "token_file": str(directory / "forge-token"),
                "webhook_secret_files": [str(directory / "secret")],
            },
            "gitops": {
                "url": self.git.url,
                "username": USER,
                "password_file": str(directory / "git-password"),
            },
            "kubernetes": {"kubeconfig": str(self.kubeconfig)},
            "domain": {
                "zone": "preview.localhost",
                "scheme": "http",
                "port": self.ingress.port,
            },
            "registry_credentials_file": str(directory / "config.json"),
            "ingress": {"metrics_urls": [f"{self.metrics.url}/metrics"]},
            "projects": [
                {
                    "name": "shop",
                    "repository": "acme/shop",
                    "image": {"repository": f"127.0.0.1:{self.registry.port}/acme/shop"},
                    "deploy": {
                        "helm": {"repository_url": "https://git.example/charts.git", "path": "app"}
                    },
                    "hostname": "pr-{number}.preview.localhost",
                }
            ],
        }

    def answer_as_forge(self, asked: Asked, reply: Reply) -> None:
        documents = {"/api/v1/user": {"id": 7}, "/api/v1/repos/acme/shop": self.repository}
        if asked.path not in documents:
            reply.send(404)
        elif asked.headers.get("authorization") != "token canary-forge-token":
            reply.json(401, {"message": "token is required"})
        else:
            reply.json(200, documents[asked.path])

    def answer_as_api(self, asked: Asked, reply: Reply) -> None:
        within = f"{ARGO_CD}/namespaces/argocd"
        if asked.path == "/version":
            reply.json(200, self.version)
        elif asked.path == REVIEWS:
            wanted = json.loads(asked.body)["spec"]["resourceAttributes"]
            reply.json(201, {"status": {"allowed": self.allows(wanted)}})
        elif asked.path == ARGO_CD:
            names = ("applications", "appprojects")
            reply.json(200, {"resources": [{"name": name} for name in names]})
        elif asked.path == f"{within}/applications/acme-previews" and self.root:
            reply.json(200, self.root)
        elif asked.path == f"{within}/appprojects/acme-previews":
            reply.json(200, {"metadata": {"name": "acme-previews"}})
        elif asked.path == BINDINGS:
            self.bindings(reply)
        elif asked.path == "/api/v1/namespaces":
            reply.json(200, self.leftovers)
        else:
            name = asked.path.rpartition("/")[2]
            status = {"kind": "Status", "reason": "NotFound", "details": {"name": name}}
            reply.json(404, status)

    def allows(self, wanted: dict[str, str]) -> bool:
        if wanted["resource"] == "secrets":
            return self.reads_secrets
        kind = "/".join(filter(None, (wanted["resource"], wanted.get("subresource"))))
        return (wanted["verb"], kind) not in self.refused

    def answer_as_registry(self, asked: Asked, reply: Reply) -> None:
        pair = base64.b64encode(b"robot:canary-registry").decode()
        if asked.headers.get("authorization") != f"Basic {pair}":
            reply.json(401, {}, WWW_Authenticate='Basic realm="registry"')
        else:
            reply.json(404, {"errors": [{"code": "MANIFEST_UNKNOWN"}]})

    def answer_as_ingress(self, asked: Asked, reply: Reply) -> None:
        assert asked.headers["host"].endswith(f".{self.zone}:{self.ingress.port}")
        reply.send(self.page_status, b"no preview", **self.page)

    def answer_as_metrics(self, _asked: Asked, reply: Reply) -> None:
        reply.send(200, b"traefik_config_reloads_total 1\n")

    @property
    def file(self) -> Path:
        path = self.directory / "previews.yaml"
        path.write_text(yaml.safe_dump(self.configuration))
        return path

    def examine(self, *names: str, probe_image: str | None = None) -> list[Finding]:
        """What these checks find; all of them if none is named."""
        case = Case(settings=load_settings(self.file), probe_image=probe_image)
        wanted = [check for check in CHECKS if not names or check.name in names]
        return list(examine(case, wanted))

    def finding(self, name: str) -> Finding:
        """The one thing that a check finds not to be fine."""
        (found,) = (each for each in self.examine(name) if each.level is not Level.FINE)
        assert found.remedy
        return found

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*PREVIEWS, "doctor", "--config", str(self.file), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(tmp_path, stack)


def test_a_healthy_installation_has_no_problem_and_every_check_says_something(town: Town) -> None:
    found = town.examine()
    not_fine = [each for each in found if each.level is not Level.FINE]
    assert [(each.check, each.level) for each in not_fine] == [("isolation", Level.UNKNOWN)]
    for check in CHECKS:
        own = [f for f in found if f.check == check.name or f.check.startswith(f"{check.name} ")]
        assert own, check.name
    assert all(each.remedy for each in not_fine)
    assert not any(each.remedy for each in found if each.level is Level.FINE)


def test_nothing_is_written_anywhere(town: Town) -> None:
    before = town.remote.tip
    town.examine()
    written = [asked for asked in town.api.asked if asked.method not in {"GET", "HEAD"}]
    assert {asked.path for asked in written} == {REVIEWS}
    everybody = (*town.forge.asked, *town.registry.asked, *town.ingress.asked)
    assert {asked.method for asked in everybody} <= {"GET", "HEAD"}
    assert town.remote.tip == before
    assert list((town.directory / "data").iterdir()) == []


# As a person sees it.


def test_it_prints_a_line_for_each_finding_and_what_to_change(town: Town) -> None:
    town.configuration["forge"]["webhook_secret_files"] = []
    town.page = {}
    done = town.run()
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("ok       configuration     ")
    warning = next(n for n, line in enumerate(lines) if line.startswith("warning  webhooks"))
    assert "forge.webhook_secret_files" in lines[warning + 1]
    assert lines[warning + 1].startswith("         -> ")
    assert any(line.startswith("PROBLEM  wildcard ingress  ") for line in lines)
    assert lines[-1].startswith("problems: 1, warnings: 1, not found out: 1, fine: ")
    assert "canary" not in done.stdout + done.stderr


def test_without_a_problem_it_ends_with_0_and_json_is_all_that_is_printed(town: Town) -> None:
    done = town.run("--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found[0]) == {"check", "level", "message", "remedy"}
    assert found[0]["check"] == "configuration"
    assert {each["level"] for each in found} == {"fine", "unknown"}


def test_a_configuration_that_cannot_be_used_is_a_problem_for_each_mistake(town: Town) -> None:
    town.configuration["forge"]["tokn_file"] = "x"
    town.configuration["instance"] = "NOT ONE"
    done = town.run("--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert [(each["check"], each["level"]) for each in found] == [("configuration", "problem")] * 2


def test_with_everything_down_each_check_says_so_and_what_depends_on_it_blames_nothing_else(
    town: Town,
) -> None:
    for server in (town.forge, town.api, town.registry, town.ingress, town.metrics):
        server.script = lambda _asked, reply: reply.break_off()
    town.git.answer_with = 503
    found = town.examine()
    levels = {each.check: each.level for each in found}
    down = ("forge", "gitops", "registry", "cluster", "wildcard ingress", "ingress metrics")
    assert {name: levels[name] for name in down} == dict.fromkeys(down, Level.PROBLEM)
    follow = ("rights", "argocd", "admission", "isolation", "clock")
    assert {name: levels[name] for name in follow} == dict.fromkeys(follow, Level.UNKNOWN)
    assert not any("bug" in each.message for each in found)


# The runner.


def test_a_check_that_crashes_is_unknown_and_the_others_go_on(town: Town) -> None:
    def crash(_: Case) -> list[Finding]:
        raise KeyError("gone")

    def fail(_: Case) -> list[Finding]:
        raise TransientError("ForgeAnswer", "it said nothing")

    def answer(_: Case) -> list[Finding]:
        return [fine("third", "well")]

    case = Case(settings=load_settings(town.file))
    checks = [Check("first", crash), Check("second", fail), Check("third", answer)]
    first, second, third = examine(case, checks)
    assert (first.level, "KeyError: 'gone'" in first.message) == (Level.UNKNOWN, True)
    assert (second.level, "it said nothing" in second.message) == (Level.UNKNOWN, True)
    assert third.level is Level.FINE


def test_a_check_that_hangs_is_unknown_and_keeps_no_other_waiting(town: Town) -> None:
    over = threading.Event()

    def hang(_: Case) -> list[Finding]:
        over.wait()
        return []

    case = Case(settings=load_settings(town.file))
    checks = [Check("first", hang, 0.2), Check("second", lambda _: [fine("second", "well")])]
    first, second = examine(case, checks)
    over.set()
    assert (first.check, first.level) == ("first", Level.UNKNOWN)
    assert "within 0.2 s" in first.message
    assert second.level is Level.FINE


def test_what_is_slow_is_named_while_it_is_waited_for(town: Town) -> None:
    said: list[str] = []
    over = threading.Event()

    def wait(_: Case) -> list[Finding]:
        over.wait()
        return [fine("slow", "at last")]

    def hear(line: str) -> None:
        said.append(line)
        over.set()

    case = Case(settings=load_settings(town.file))
    (found,) = examine(case, [Check("slow", wait, 60.0)], say=hear)
    assert found.level is Level.FINE
    assert said[0] == "still asking: slow"


# Each check.


def test_a_data_directory_that_a_manager_works_in_is_said_to_be(town: Town) -> None:
    directory = town.directory / "data"
    with closing(SingleManagerLock(directory)) as lock:
        lock.acquire(threading.Event(), on_wait=lambda: None)
        (found,) = town.examine("data directory")
        assert found.message.endswith("; a manager works in it")
    (found,) = town.examine("data directory")
    assert found.message.endswith("; no manager works in it now")


def test_a_data_directory_that_cannot_be_made_is_a_problem(town: Town) -> None:
    (town.directory / "taken").write_text("")
    town.configuration["data_directory"] = str(town.directory / "taken")
    assert town.finding("data directory").level is Level.PROBLEM


def test_an_empty_webhook_secret_is_a_problem(town: Town) -> None:
    (town.directory / "secret").write_text("\n")
    assert town.finding("webhooks").level is Level.PROBLEM


def test_a_revoked_token_is_a_problem(town: Town) -> None:
    (town.directory / "forge-token").write_text("revoked")
    found = town.finding("forge")
    assert (found.level, "expired or revoked" in found.message) == (Level.PROBLEM, True)


@pytest.mark.parametrize(
    ("repository", "level", "said"),
    [
        ({"permissions": {"pull": True, "push": False}}, Level.PROBLEM, "no commit status"),
        ({}, Level.UNKNOWN, "does not say"),
        ({"permissions": {"push": True}, "archived": True}, Level.WARNING, "archived"),
        ({"permissions": {"push": True, "admin": False}}, Level.WARNING, "no command"),
    ],
)
def test_what_the_token_may_not_do_in_a_repository_is_said(
    town: Town, repository: dict[str, Any], level: Level, said: str
) -> None:
    town.repository = repository
    found = town.finding("forge")
    assert (found.level, said in found.message) == (level, True)


def test_a_repository_that_the_token_does_not_see_is_a_problem(town: Town) -> None:
    town.configuration["projects"][0]["repository"] = "acme/other"
    assert town.finding("forge").level is Level.PROBLEM


def test_a_branch_that_is_missing_is_a_problem(town: Town) -> None:
    town.remote.delete_branch()
    found = town.finding("gitops")
    assert (found.level, "gitops.branch" in found.remedy) == (Level.PROBLEM, True)


def test_a_git_password_that_is_wrong_is_a_problem_and_not_shown(town: Town) -> None:
    (town.directory / "git-password").write_text("canary-wrong")
    found = town.finding("gitops")
    assert found.level is Level.PROBLEM
    assert "canary" not in found.message + found.remedy


def test_what_is_no_registry_is_a_problem(town: Town) -> None:
    town.registry.script = lambda _, reply: reply.send(200, b"<p>", Content_Type="text/html")
    assert "is no image registry" in town.finding("registry").message


def test_a_registry_that_does_not_take_the_credential_is_a_problem(town: Town) -> None:
    (town.directory / "config.json").write_text('{"auths": {}}')
    found = town.finding("registry")
    assert (found.level, "config.json" in found.remedy) == (Level.PROBLEM, True)


def test_an_old_cluster_is_a_problem(town: Town) -> None:
    town.version = {"major": "1", "minor": "29", "gitVersion": "v1.29.3"}
    assert "older than 1.30" in town.finding("cluster").message


def test_missing_rights_are_named(town: Town) -> None:
    town.refused = {("patch", "applications"), ("delete", "namespaces")}
    found = town.finding("rights")
    assert found.level is Level.PROBLEM
    assert "patch applications.argoproj.io in argocd; delete namespaces" in found.message


def test_rights_that_only_a_diagnosis_needs_are_a_warning(town: Town) -> None:
    town.refused = {("get", "pods/log")}
    assert town.finding("rights").level is Level.WARNING


def test_a_manager_that_can_read_secrets_is_warned_about(town: Town) -> None:
    town.reads_secrets = True
    found = town.finding("rights")
    assert (found.level, "get secrets; " in found.message) == (Level.WARNING, True)


def test_a_root_that_is_missing_is_a_problem(town: Town) -> None:
    town.root = None
    assert "there is no Application acme-previews" in town.finding("argocd").message


@pytest.mark.parametrize(
    ("part", "change", "level", "said"),
    [
        ("source", {"path": "elsewhere/roots"}, Level.PROBLEM, "'elsewhere/roots'"),
        ("source", {"targetRevision": "HEAD"}, Level.PROBLEM, "'HEAD'"),
        ("source", {"repoURL": "https://a.example/b"}, Level.WARNING, "https://a.example/b"),
        ("status", {"sync": {"status": "Unknown"}}, Level.PROBLEM, "is Unknown"),
        ("status", {"reconciledAt": "2026-01-01T00:00:00Z"}, Level.WARNING, "minutes ago"),
        ("status", {"reconciledAt": None}, Level.PROBLEM, "never looked"),
    ],
)
def test_what_is_wrong_with_the_root_is_said(
    town: Town, part: str, change: dict[str, Any], level: Level, said: str
) -> None:
    assert town.root is not None
    place = town.root["status"] if part == "status" else town.root["spec"]["source"]
    place.update(change)
    found = town.finding("argocd")
    assert (found.level, said in found.message) == (level, True)


def test_admission_policies_that_hold_elsewhere_do_not_count(town: Town) -> None:
    town.bindings = lambda reply: reply.json(200, bindings(other="previews-other-services"))
    assert town.finding("admission").level is Level.WARNING


def test_a_binding_for_all_namespaces_is_none_for_ours(town: Town) -> None:
    for_all = {"metadata": {"name": "deletions"}, "spec": {"policyName": "deletions"}}
    listed = {"metadata": {"resourceVersion": "9"}, "items": [for_all]}
    town.bindings = lambda reply: reply.json(200, listed)
    assert town.finding("admission").level is Level.WARNING


def test_policies_that_the_manager_may_not_list_are_unknown(town: Town) -> None:
    refused = {"kind": "Status", "reason": "Forbidden", "message": "no", "code": 403}
    town.bindings = lambda reply: reply.json(403, refused)
    found = town.finding("admission")
    assert (found.level, "--kubeconfig" in found.remedy) == (Level.UNKNOWN, True)


def test_a_sealing_certificate_that_cannot_be_had_is_a_problem(town: Town) -> None:
    (town.directory / "db-password").write_text("x")
    (town.directory / "db-url").write_text("postgresql://u:p@127.0.0.1/x")
    town.configuration["projects"][0]["database"] = {
        "provider": "shared",
        "url_file": str(town.directory / "db-url"),
    }
    found = town.finding("secrets")
    assert (found.level, "certificate_file" in found.remedy) == (Level.PROBLEM, True)


def test_a_shared_database_whose_address_makes_no_sense_is_a_problem(town: Town) -> None:
    (town.directory / "db-url").write_text("canary-nonsense")
    town.configuration["projects"][0]["database"] = {
        "provider": "shared",
        "url_file": str(town.directory / "db-url"),
    }
    found = town.finding("database")
    assert (found.level, "canary" in found.message) == (Level.PROBLEM, False)


@pytest.mark.parametrize(
    ("status", "page", "level"),
    [
        (404, {}, Level.PROBLEM),
        (503, {}, Level.PROBLEM),
        (503, {"X_Previews_Page": "busy"}, Level.WARNING),
    ],
)
def test_a_host_without_a_preview_must_get_the_managers_page(
    town: Town, status: int, page: dict[str, str], level: Level
) -> None:
    town.page_status, town.page = status, page
    assert town.finding("wildcard ingress").level is level


def test_an_ingress_that_speaks_no_tls_is_a_problem(town: Town) -> None:
    town.configuration["domain"]["scheme"] = "https"
    found = town.finding("tls")
    assert (found.check, found.level) == ("tls certificate", Level.PROBLEM)
    assert "does not speak TLS" in found.message


def test_hosts_with_records_of_their_own_are_asked_for_at_the_ingress(town: Town) -> None:
    (town.directory / "tsig").write_text("c2VjcmV0")
    town.configuration["domain"]["zone"] = "preview.example"
    town.configuration["projects"][0]["hostname"] = "pr-{number}.preview.example"
    town.configuration["dns"] = {
        "mode": "per_preview",
        "server": "127.0.0.1",
        "key_name": "previews",
        "key_file": str(town.directory / "tsig"),
        "addresses": ["127.0.0.1"],
    }
    town.zone = "preview.example"
    (found,) = town.examine("wildcard ingress")
    assert found.level is Level.FINE


def test_metrics_of_something_else_are_a_problem(town: Town) -> None:
    town.metrics.script = lambda _, reply: reply.send(200, b"up 1\n")
    assert town.finding("ingress metrics").level is Level.PROBLEM


def test_a_clock_that_is_apart_is_a_warning(town: Town) -> None:
    ordinary = town.answer_as_api

    def answer_late(asked: Asked, reply: Reply) -> None:
        late = datetime.now(UTC) - timedelta(hours=1)
        said = format_datetime(late, usegmt=True)
        reply.handler.date_time_string = lambda *_: said  # type: ignore[method-assign] # what it says the time is
        ordinary(asked, reply)

    town.api.script = answer_late
    found = town.finding("clock")
    assert found.level is Level.WARNING
    assert re.search(r"the API server is 36\d\d s behind", found.message)


def test_a_trial_of_isolation_that_was_killed_is_seen_later(town: Town) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    town.leftovers = metadata_list("preview-doctor-1-a", made_at=long_ago)
    _, found = town.examine("isolation")
    assert (found.level, "preview-doctor-1-a" in found.remedy) == (Level.WARNING, True)


def test_a_manager_that_may_make_no_namespace_cannot_try_isolation(town: Town) -> None:
    ordinary = town.answer_as_api

    def refuse(asked: Asked, reply: Reply) -> None:
        if asked.method == "POST" and asked.path == "/api/v1/namespaces":
            refused = {"kind": "Status", "reason": "Forbidden", "message": "no", "code": 403}
            reply.json(403, refused)
        else:
            ordinary(asked, reply)

    town.api.script = refuse
    (found,) = town.examine("isolation", probe_image="busybox")
    assert (found.level, "--kubeconfig" in found.remedy) == (Level.UNKNOWN, True)
    assert "may not create namespaces" in found.message


@pytest.mark.parametrize(
    ("reached", "levels"),
    [
        (Reached(mate=True, neighbour=False, api=False, node=False), [Level.FINE]),
        (Reached(mate=True, neighbour=True, api=False, node=False), [Level.PROBLEM]),
        (Reached(mate=True, neighbour=False, api=True, node=True), [Level.WARNING] * 2),
        (Reached(mate=False, neighbour=False, api=False, node=False), [Level.UNKNOWN]),
    ],
)
def test_what_a_trial_of_isolation_reached_is_judged(reached: Reached, levels: list[Level]) -> None:
    assert [each.level for each in doctor_cluster._judged(reached)] == levels


def test_the_policy_that_is_tried_is_the_one_that_previews_get(town: Town) -> None:
    (policy,) = doctor_cluster._policies(load_settings(town.file))
    assert policy["kind"] == "NetworkPolicy"
    assert "spec" in policy
