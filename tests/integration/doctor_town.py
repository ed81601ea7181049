"""Every outside system that `previews doctor` looks at, as servers that answer as the real ones do."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from previews.doctor import CHECKS, examine
from previews.doctor_case import Case
from previews.domain.findings import Finding, Level
from previews.settings import load_settings
from tests.git_http_server import PASSWORD, USER, GitHTTPServer, serve_git
from tests.git_remote import GitRemote
from tests.integration.scripted_http import Asked, Reply, ScriptedServer
from tests.kubeconfig import write_kubeconfig

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
        self.root: dict[str, Any] | None = self._healthy_root()
        self.bindings: Callable[[Reply], None] = lambda reply: reply.json(
            200, bindings(acme="previews-acme-services", other="previews-other-services")
        )
        self.leftovers = metadata_list()
        self.page: dict[str, str] = {"X_Previews_Page": "unknown"}
        self.page_status = 404
        self.zone = "preview.localhost"
        self.kubeconfig = directory / "kubeconfig"
        self._write_files()
        self.configuration = self._valid_configuration()

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

    def _healthy_root(self) -> dict[str, Any]:
        return {
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

    def _write_files(self) -> None:
        for name in ("forge-token", "secret"):
            (self.directory / name).write_text(f"canary-{name}\n")
        (self.directory / "git-password").write_text(f"{PASSWORD}\n")
        pair = base64.b64encode(b"robot:canary-registry").decode()
        auths = {f"127.0.0.1:{self.registry.port}": {"auth": pair}}
        (self.directory / "config.json").write_text(json.dumps({"auths": auths}))
        (self.directory / "data").mkdir()
        write_kubeconfig(self.kubeconfig, self.api.url, "canary-cluster")

    def _valid_configuration(self) -> dict[str, Any]:
        return {
            "instance": "acme",
            "data_directory": str(self.directory / "data"),
            "forge": {
                "kind": "gitea",
                "api_url": self.forge.url,
                "token_file": str(self.directory / "forge-token"),
                "webhook_secret_files": [str(self.directory / "secret")],
            },
            "gitops": {
                "url": self.git.url,
                "username": USER,
                "password_file": str(self.directory / "git-password"),
            },
            "kubernetes": {"kubeconfig": str(self.kubeconfig)},
            "domain": {
                "zone": "preview.localhost",
                "scheme": "http",
                "port": self.ingress.port,
            },
            "registry_credentials_file": str(self.directory / "config.json"),
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


@contextmanager
def town_in(directory: Path) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(directory, stack)
