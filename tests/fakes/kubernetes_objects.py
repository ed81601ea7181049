"""As much of Kubernetes' API as one needs to create, read and patch single objects, over HTTP on loopback."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.integration.scripted_http import Asked, Reply

Raw = dict[str, Any]
METADATA = "PartialObjectMetadata"


@dataclass
class KubernetesObjects:
    """A script for `ScriptedServer`. Objects by their path; `texts` are what lies behind the proxy of a Service."""

    objects: dict[str, Raw] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    namespaces: set[str] | None = None
    """Those that there are; None: every one."""
    down: bool = False
    refusal: Mapping[str, object] | None = None
    """What an admission webhook says to every write."""
    versions: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def __call__(self, asked: Asked, reply: Reply) -> None:
        if self.down:
            reply.json(503, status(503, "ServiceUnavailable", "no endpoints available"))
        elif asked.path in self.texts:
            reply.send(200, self.texts[asked.path], Content_Type="application/x-pem-file")
        elif asked.method == "GET":
            self._answer(asked, reply)
        elif self.refusal is not None and "dryRun" not in asked.query:
            reply.json(int(str(self.refusal["code"])), self.refusal)
        elif asked.method == "POST":
            self._create(asked, reply)
        elif asked.method == "PATCH":
            self._patch(asked, reply)

    def put(self, path: str, found: Raw) -> Raw:
        """As somebody else applies it; another spec is another generation."""
        before = self.objects.get(path, {})
        generation = before.get("metadata", {}).get("generation", 0)
        is_new = before.get("spec") != found.get("spec")
        metadata = {
            **found["metadata"],
            "uid": before.get("metadata", {}).get("uid", f"u-{next(self.versions)}"),
            "resourceVersion": str(next(self.versions)),
            "generation": generation + is_new,
        }
        kept = {"status": before["status"]} if "status" in before else {}
        self.objects[path] = {**kept, **found, "metadata": metadata}
        return self.objects[path]

    def _create(self, asked: Asked, reply: Reply) -> None:
        found = json.loads(asked.body)
        namespace, name = found["metadata"]["namespace"], found["metadata"]["name"]
        path = f"{asked.path}/{name}"
        if self.namespaces is not None and namespace not in self.namespaces:
            reply.json(
                404, status(404, "NotFound", f'namespaces "{namespace}" not found', namespace)
            )
        elif path in self.objects:
            reply.json(409, status(409, "AlreadyExists", f'"{name}" already exists', name))
        else:
            self.put(path, found)
            self._answer(asked, reply, path=path, code=201)

    def _patch(self, asked: Asked, reply: Reply) -> None:
        change = json.loads(asked.body)
        found = self.objects.get(asked.path)
        if found is not None and "dryRun" not in asked.query:
            wanted = change.get("metadata", {})
            version = wanted.get("resourceVersion", found["metadata"]["resourceVersion"])
            if version != found["metadata"]["resourceVersion"]:
                reply.json(409, status(409, "Conflict", "the object has been modified"))
                return
            self.put(asked.path, merged(found, change))
        self._answer(asked, reply)

    def _answer(self, asked: Asked, reply: Reply, *, path: str = "", code: int = 200) -> None:
        found = self.objects.get(path or asked.path)
        if found is None:
            name = asked.path.rpartition("/")[2]
            reply.json(404, status(404, "NotFound", f'"{name}" not found', name))
        elif METADATA in asked.headers.get("accept", ""):
            reply.json(code, {"kind": METADATA, "metadata": found["metadata"]})
        else:
            reply.json(code, found)


def merged(found: Raw, change: Raw) -> Raw:
    """As a JSON merge patch."""
    together = dict(found)
    for name, value in change.items():
        if value is None:
            together.pop(name, None)
        elif isinstance(value, dict):
            together[name] = merged(together.get(name) or {}, value)
        else:
            together[name] = value
    return together


def status(code: int, reason: str, message: str, name: str = "") -> Raw:
    """A refusal as Kubernetes writes it."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": code,
        "details": {"name": name} if name else {},
    }
