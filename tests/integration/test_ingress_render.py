"""`previews ingress render`, and the routes of both charts, against the schemas of the kinds that they are of."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner, Result

from previews.adapters.ingress_manifests import VALUES, file_names
from previews.cli import cli
from previews.cli.ingress import commit
from previews.errors import ConfigurationError, TransientError
from tests.fakes.gitops import FakeGitOpsRepository
from tests.git_remote import GitRemote, git
from tests.kinds import forbid_unknown, module_folder, schemas_in, with_defaults
from tests.rendered import APP_VALUES, MANAGER_VALUES, PREVIEW_APP, PREVIEWS, render

Object = dict[str, Any]
Schemas = dict[tuple[str, str], dict[str, Any]]

CANARY = "canary/Pa55word+never+to+be+seen"
ISSUERS: Mapping[str, tuple[str, ...]] = {
    "route53": ("region=eu-central-1", "access_key_id=AKIAEXAMPLE", "hosted_zone_id=Z1"),
    "cloudflare": (),
    "clouddns": ("project=acme-dns", "hosted_zone_name=preview"),
    "rfc2136": ("nameserver=192.0.2.53:53", "key_name=previews"),
    "none": (),
}
CONTROLLERS = ("traefik", "ingress-nginx", "haproxy", "haproxy-ingress", "gateway")


@pytest.fixture(scope="session")
def schemas() -> Schemas:
    pinned = "ingress-kinds"
    cert_manager = module_folder(pinned, "github.com/cert-manager/cert-manager") / "deploy/crds"
    gateway = module_folder(pinned, "sigs.k8s.io/gateway-api") / "config/crd/standard"
    external_dns = module_folder(pinned, "sigs.k8s.io/external-dns") / "config/crd/standard"
    traefik = module_folder("traefik", "github.com/traefik/traefik/v3")
    of_traefik = traefik / "docs/content/reference/dynamic-configuration"
    files = (
        *(cert_manager / f"cert-manager.io_{kinds}.yaml" for kinds in ("certificates", "issuers")),
        cert_manager / "cert-manager.io_clusterissuers.yaml",
        *(gateway / f"gateway.networking.k8s.io_{k}.yaml" for k in ("gateways", "httproutes")),
        external_dns / "dnsendpoints.externaldns.k8s.io.yaml",
        *(of_traefik / f"traefik.io_{kinds}.yaml" for kinds in ("tlsstores", "middlewares")),
    )
    return {kind: schema for file in files for kind, schema in schemas_in(file).items()}


def check(document: Object, schemas: Schemas) -> None:
    """By the kind's own schema, in which nothing unknown may stand."""
    schema = schemas[document["apiVersion"], document["kind"]]
    jsonschema.validate(document, forbid_unknown(schema))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A configuration, and a GitOps repository with somebody else's file in it."""
    remote = GitRemote(tmp_path / "remote")
    remote.commit({"previews/ingress/theirs.yaml": "kind: Theirs\n"})
    (tmp_path / "token").write_text("token")
    settings = {
        "instance": "acme",
        "data_directory": str(tmp_path / "data"),
        "forge": {
            "kind": "gitea",
            "api_url": "https://git.example",
            "token_file": str(tmp_path / "token"),
        },
        "gitops": {"url": remote.url},
        "domain": {"zone": "preview.example"},
        "projects": [
            {
                "name": "shop",
                "repository": "acme/shop",
                "hostname": "pr-{number}.preview.example",
                "deploy": {"helm": {"repository_url": "https://git.example/c.git", "path": "c"}},
            }
        ],
    }
    file = tmp_path / "previews.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


def run(site: Path, *arguments: str, controller: str = "traefik") -> Result:
    return CliRunner().invoke(
        cli,
        [
            *("ingress", "render", "--config", str(site), "--controller", controller),
            *("--namespace", "the-ingress", *arguments),
        ],
    )


def rendered(site: Path, *arguments: str, controller: str = "traefik") -> dict[str, str]:
    """The files that are written into a folder."""
    folder = site.parent / "output"
    ended = run(site, *arguments, "--output", str(folder), controller=controller)
    assert ended.exit_code == 0, ended.output
    return {
        file.relative_to(folder).as_posix(): file.read_text()
        for file in sorted(folder.rglob("*.yaml"))
    }


def manifests(files: Mapping[str, str]) -> list[Object]:
    return [
        document
        for name, text in files.items()
        if not name.startswith(f"{VALUES}/")
        for document in yaml.safe_load_all(text)
    ]


def options(provider: str) -> list[str]:
    return ["--issuer", provider, *(f"--set={option}" for option in ISSUERS[provider])]


# The command


@pytest.mark.parametrize("provider", ISSUERS)
@pytest.mark.parametrize("kind", ["Issuer", "ClusterIssuer"])
def test_certificates_and_issuers_are_valid_by_cert_managers_own_schemas(
    site: Path, schemas: Schemas, provider: str, kind: str
) -> None:
    made = manifests(rendered(site, *options(provider), "--issuer-kind", kind))
    kinds = {document["kind"]: document for document in made}
    for document in made:
        check(document, schemas)
    spec = kinds["Certificate"]["spec"]
    assert spec["dnsNames"] == ["*.preview.example"]
    assert spec["issuerRef"] == {
        "group": "cert-manager.io",
        "kind": kind,
        "name": "previews-acme",
    }
    assert (kind in kinds) is (provider != "none")
    if kind in kinds:
        assert kinds[kind]["metadata"]["name"] == "previews-acme"
        (solver,) = kinds[kind]["spec"]["acme"]["solvers"]
        assert set(solver) == {"selector", "dns01"}, "nothing else proves a wildcard"


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_every_controller_gets_the_certificate_as_its_default(
    site: Path, schemas: Schemas, controller: str
) -> None:
    more = ("--class", "public", "--manager", "previews/previews-acme", "--target", "203.0.113.7")
    files = rendered(site, *more, controller=controller)
    assert set(files) <= file_names()
    made = manifests(files)
    for document in made:
        if document["kind"] != "Ingress":
            check(document, schemas)
    (certificate,) = (each for each in made if each["kind"] == "Certificate")
    secret = certificate["spec"]["secretName"]
    assert certificate["metadata"]["namespace"] == "the-ingress"
    found = default_certificate(files, made, controller)
    assert found in {secret, f"the-ingress/{secret}"}
    route = by_kind(made)["HTTPRoute" if controller == "gateway" else "Ingress"]
    assert route["metadata"]["namespace"] == "previews"
    assert "*.preview.example" in yaml.safe_dump(route)
    assert "previews-acme" in yaml.safe_dump(route["spec"])


def default_certificate(files: Mapping[str, str], made: list[Object], controller: str) -> str:
    match controller:
        case "traefik":
            found = by_kind(made)["TLSStore"]["spec"]["defaultCertificate"]["secretName"]
        case "gateway":
            (listener,) = by_kind(made)["Gateway"]["spec"]["listeners"]
            found = listener["tls"]["certificateRefs"][0]["name"]
        case "haproxy":
            found = value(files, controller, "config", "ssl-certificate")
        case _:
            found = value(files, controller, "extraArgs", "default-ssl-certificate")
    return str(found)


def by_kind(made: list[Object]) -> dict[str, Object]:
    return {document["kind"]: document for document in made}


def value(files: Mapping[str, str], controller: str, *path: str) -> str:
    found = yaml.safe_load(files[f"{VALUES}/{controller}.yaml"])["controller"]
    for step in path:
        found = found[step]
    return str(found)


@pytest.mark.parametrize(
    ("target", "kind"),
    [("203.0.113.7", "A"), ("2001:db8::7", "AAAA"), ("lb.example.net.", "CNAME")],
)
def test_the_wildcards_record_is_of_the_type_of_what_it_points_at(
    site: Path, schemas: Schemas, target: str, kind: str
) -> None:
    found = by_kind(manifests(rendered(site, "--target", target)))["DNSEndpoint"]
    check(found, schemas)
    (endpoint,) = found["spec"]["endpoints"]
    assert (endpoint["dnsName"], endpoint["recordType"]) == ("*.preview.example", kind)


def test_the_middleware_is_the_one_that_the_chart_names(site: Path) -> None:
    files = rendered(site)
    middleware = by_kind(manifests(files))["Middleware"]
    values = yaml.safe_load((PREVIEW_APP / "values.yaml").read_text())
    assert values["ingress"]["noindex"]["middleware"] == (
        f"traefik-{middleware['metadata']['name']}@kubernetescrd"
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--issuer", "route53"), "region must be given"),
        (("--issuer", "rfc2136", "--set", "nameserver=192.0.2.53"), "key_name must be given"),
        (("--issuer", "cloudflare", "--set", "token=x"), "no option 'token'"),
        (("--set", "region=x"), "no option 'region'"),
        (("--issuer", "cloudflare", "--set", CANARY), "NAME=VALUE"),
        (("--issuer", "cloudflare", "--set", f"secret={CANARY}"), "name of a Secret"),
        (("--manager", "previews"), "--manager"),
        (("--manager", "a/b/c"), "--manager"),
    ],
)
def test_what_is_missing_or_wrong_is_named_and_nothing_is_repeated_that_may_be_a_secret(
    site: Path, arguments: tuple[str, ...], named: str
) -> None:
    ended = run(site, *arguments)
    assert isinstance(ended.exception, ConfigurationError)
    assert named in ended.exception.message
    assert CANARY not in ended.exception.message


def test_a_gateway_needs_a_class(site: Path) -> None:
    ended = run(site, controller="gateway")
    assert isinstance(ended.exception, ConfigurationError)
    assert "--class" in ended.exception.message


@pytest.mark.parametrize("hostile", ['x"\n---\nkind: Secret', "${x}", "{{ 7 * 7 }}", "'"])
def test_no_value_is_more_than_a_value(site: Path, schemas: Schemas, hostile: str) -> None:
    given = ("--issuer", "route53", f"--set=region={hostile}", f"--email={hostile}")
    made = manifests(rendered(site, *given))
    issuer = by_kind(made)["Issuer"]
    check(issuer, schemas)
    assert issuer["spec"]["acme"]["email"] == hostile
    assert issuer["spec"]["acme"]["solvers"][0]["dns01"]["route53"]["region"] == hostile
    assert "Secret" not in by_kind(made)


def test_without_a_place_to_go_it_is_printed(site: Path) -> None:
    ended = run(site)
    assert "# certificate.yaml" in ended.stdout
    assert "# values/traefik.yaml" in ended.stdout


# The GitOps repository


def test_it_is_committed_once_beside_what_others_have_there(site: Path) -> None:
    remote = yaml.safe_load(site.read_text())["gitops"]["url"]
    first = run(site, "--write")
    assert first.exit_code == 0, first.output
    assert "previews/ingress of file://" in first.stderr
    assert "commit " in first.stderr
    again = run(site, "--write")
    assert "nothing to change" in again.stderr
    assert list_of(remote) == {
        "previews/ingress/certificate.yaml",
        "previews/ingress/theirs.yaml",
        "previews/ingress/traefik.yaml",
        "previews/ingress/values/traefik.yaml",
    }


def test_whose_login_has_no_name_says_it(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Path(yaml.safe_load(site.read_text())["gitops"]["url"].removeprefix("file://"))
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987_654)

    ended = run(site, "--write")
    assert isinstance(ended.exception, ConfigurationError)
    assert "--actor" in ended.exception.message

    assert run(site, "--write", "--actor", "ada").exit_code == 0
    assert "Actor: ada" in git(remote, "log", "-1", "--format=%B", "main")


def test_what_another_controller_does_not_need_goes(site: Path) -> None:
    remote = yaml.safe_load(site.read_text())["gitops"]["url"]
    run(site, "--write")
    assert run(site, "--write", controller="haproxy").exit_code == 0
    assert list_of(remote) == {
        "previews/ingress/certificate.yaml",
        "previews/ingress/theirs.yaml",
        "previews/ingress/values/haproxy.yaml",
    }


def list_of(url: str) -> set[str]:
    bare = Path(url.removeprefix("file://"))
    return set(git(bare, "ls-tree", "-r", "--name-only", "main").split())


def test_somebody_elses_push_is_built_upon() -> None:
    repository = FakeGitOpsRepository()
    repository.reject_pushes(2)
    assert commit(repository, {"certificate.yaml": "x\n"}, "Set up")
    assert repository.files["ingress/certificate.yaml"] == "x\n"


def test_it_gives_up_when_others_never_stop_pushing() -> None:
    repository = FakeGitOpsRepository()
    repository.reject_pushes(99)
    with pytest.raises(TransientError, match="try again"):
        commit(repository, {"certificate.yaml": "x\n"}, "Set up")


# The routes of the charts


GATEWAY = {
    "enabled": True,
    "parentRefs": [{"name": "previews", "namespace": "gateways", "sectionName": "https"}],
}
SERVICES = {
    "host": "pr-42.preview.example",
    "hosts": {"api": "pr-42-api.preview.example", "admin": "pr-42-admin.preview.example"},
    "services": {"api": {"name": "api", "port": 8080}},
}


def test_each_service_has_a_route_of_its_own_under_its_host(helm: str, schemas: Schemas) -> None:
    values = {**APP_VALUES, "ingress": SERVICES, "gateway": GATEWAY}
    made = render(helm, PREVIEW_APP, values)
    routes = {each["metadata"]["name"]: each for each in made if each["kind"] == "HTTPRoute"}
    assert "Ingress" not in by_kind(made)
    answers = {}
    for name, route in routes.items():
        check(route, schemas)
        (host,) = route["spec"]["hostnames"]
        (rule,) = route["spec"]["rules"]
        backend = rule["backendRefs"][0]
        answers[host] = (name, backend["name"], backend["port"])
        assert rule["filters"][0]["responseHeaderModifier"]["set"] == [
            {"name": "X-Robots-Tag", "value": "noindex"}
        ]
    assert answers == {
        "pr-42.preview.example": ("app", "app", 80),
        "pr-42-api.preview.example": ("app-api", "api", 8080),
        "pr-42-admin.preview.example": ("app-admin", "app", 80),
    }


def test_an_ingress_leads_the_same_hosts_to_the_same_services(helm: str) -> None:
    ingress = by_kind(render(helm, PREVIEW_APP, {**APP_VALUES, "ingress": SERVICES}))["Ingress"]
    answers = {
        rule["host"]: rule["http"]["paths"][0]["backend"]["service"]
        for rule in ingress["spec"]["rules"]
    }
    assert answers == {
        "pr-42.preview.example": {"name": "app", "port": {"number": 80}},
        "pr-42-api.preview.example": {"name": "api", "port": {"number": 8080}},
        "pr-42-admin.preview.example": {"name": "app", "port": {"number": 80}},
    }


def test_the_api_server_adds_nothing_to_a_route(helm: str, schemas: Schemas) -> None:
    """What it adds to the entry of a list, Argo CD would call out of sync for ever."""
    made = by_kind(render(helm, PREVIEW_APP, {**APP_VALUES, "gateway": GATEWAY}))
    route = made["HTTPRoute"]
    schema = schemas["gateway.networking.k8s.io/v1", "HTTPRoute"]
    assert with_defaults(route, schema) == route
    route["spec"]["rules"][0]["backendRefs"][0].pop("weight")
    assert with_defaults(route, schema) != route


def test_what_hides_an_ingress_hides_a_route(helm: str) -> None:
    """As the project's `hide_parameters` say it: a preview that sleeps leaves its hosts to the manager."""
    values = {**APP_VALUES, "ingress": {**SERVICES, "enabled": False}, "gateway": GATEWAY}
    assert not {"HTTPRoute", "Ingress"} & set(by_kind(render(helm, PREVIEW_APP, values)))


@pytest.mark.parametrize(
    ("controller", "annotations"),
    [
        ("", {}),
        (
            "traefik",
            {
                "traefik.ingress.kubernetes.io/router.middlewares": "traefik-previews-noindex@kubernetescrd"
            },
        ),
        ("ingress-nginx", {"nginx.ingress.kubernetes.io/custom-headers": "there/noindex"}),
        ("haproxy", {"haproxy.org/response-set-header": 'X-Robots-Tag "noindex"'}),
        (
            "haproxy-ingress",
            {
                "haproxy-ingress.github.io/config-backend": "http-response set-header X-Robots-Tag noindex"
            },
        ),
    ],
)
def test_search_engines_are_told_by_the_controllers_own_means(
    helm: str, controller: str, annotations: dict[str, str]
) -> None:
    ingress = {**APP_VALUES["ingress"], "noindex": {"controller": controller}}
    made = by_kind(render(helm, PREVIEW_APP, {**APP_VALUES, "ingress": ingress}))
    assert made["Ingress"]["metadata"].get("annotations", {}) == annotations
    if controller == "ingress-nginx":
        assert made["ConfigMap"]["metadata"]["name"] == "noindex"
        assert made["ConfigMap"]["data"] == {"X-Robots-Tag": "noindex"}
    else:
        assert "ConfigMap" not in made


def test_a_projects_own_annotation_wins(helm: str) -> None:
    ingress = {
        **APP_VALUES["ingress"],
        "noindex": {"controller": "traefik"},
        "annotations": {"traefik.ingress.kubernetes.io/router.middlewares": "a-b@kubernetescrd"},
    }
    made = by_kind(render(helm, PREVIEW_APP, {**APP_VALUES, "ingress": ingress}))
    assert made["Ingress"]["metadata"]["annotations"] == ingress["annotations"]


def test_the_wildcard_may_be_a_route_as_well(helm: str, schemas: Schemas) -> None:
    wildcard = {"enabled": True, "zone": "preview.example", "gateway": GATEWAY}
    made = by_kind(render(helm, PREVIEWS, {**MANAGER_VALUES, "wildcard": wildcard}))
    route = made["HTTPRoute"]
    check(route, schemas)
    assert with_defaults(route, schemas["gateway.networking.k8s.io/v1", "HTTPRoute"]) == route
    assert route["spec"]["hostnames"] == ["*.preview.example"]
    (rule,) = route["spec"]["rules"]
    backend = rule["backendRefs"][0]
    assert backend["name"] == made["Service"]["metadata"]["name"]
    assert backend["port"] == made["Service"]["spec"]["ports"][0]["port"]
    assert "Ingress" not in made
