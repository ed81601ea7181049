"""An API server that follows a script, and the cluster adapter at work against it."""

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from previews.adapters.cluster import KubernetesCluster
from previews.adapters.kubernetes_api import ClusterTimes
from previews.domain.preview import PreviewKey
from tests.integration.scripted_http import PATIENCE_SECONDS, Asked, Reply, ScriptedServer
from tests.kubeconfig import write_kubeconfig

QUICK = ClusterTimes(
    connect_seconds=2.0,
    read_seconds=2.0,
    watch_seconds=30.0,
    silence_seconds=2.0,
    relist_seconds=600.0,
    retry_seconds=0.01,
    retry_seconds_max=0.05,
)
IMPATIENT = ClusterTimes(
    watch_seconds=0.1, silence_seconds=0.1, retry_seconds=0.01, retry_seconds_max=0.05
)
SHOP_42, SHOP_43 = PreviewKey("shop", 42), PreviewKey("shop", 43)
Raw = dict[str, Any]
Behaviour = Callable[[Asked, Reply], None]


def application(number: int, version: int, *, health: str = "Healthy", **metadata: object) -> Raw:
    return {
        "metadata": {
            "name": f"shop-pr-{number}",
            "uid": f"u-{number}",
            "resourceVersion": str(version),
            "labels": {
                "previews.dev/instance": "acme",
                "previews.dev/project": "shop",
                "pr": str(number),
            },
            **metadata,
        },
        "spec": {},
        "status": {"health": {"status": health}, "reconciledAt": f"second {version}"},
    }


def event(kind: str, raw: Raw) -> bytes:
    return json.dumps({"type": kind, "object": raw}).encode() + b"\n"


def status(code: int, reason: str, message: str = "said so", **details: str) -> Raw:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": code,
        "details": details,
    }


class APIServer:
    """Lists what it is told to list, and follows a script for each watch of Applications; Namespaces are quiet."""

    def __init__(self) -> None:
        self.version = 10
        self.applications: list[Raw] = []
        self.lists: queue.Queue[Behaviour] = queue.Queue()
        self.watches: queue.Queue[Behaviour] = queue.Queue()
        self.objects: dict[str, Behaviour] = {}
        self.token = "first"

    def answer(self, asked: Asked, reply: Reply) -> None:
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            reply.json(401, status(401, "Unauthorized"))
        elif behaviour := self.objects.get(f"{asked.method} {asked.path}"):
            behaviour(asked, reply)
        elif asked.path.endswith("/namespaces"):
            quiet(asked, reply) if "watch" in asked.query else self.list(asked, reply, [])
        elif "watch" in asked.query:
            self._next(self.watches, quiet)(asked, reply)
        else:
            self._next(self.lists, self._list_applications)(asked, reply)

    def list(self, _asked: Asked, reply: Reply, items: list[Raw]) -> None:
        reply.json(
            200,
            {
                "kind": "List",
                "metadata": {"resourceVersion": str(self.version)},
                "items": items,
            },
        )

    def _list_applications(self, asked: Asked, reply: Reply) -> None:
        self.list(asked, reply, self.applications)

    @staticmethod
    def _next(scripted: "queue.Queue[Behaviour]", default: Behaviour) -> Behaviour:
        try:
            return scripted.get_nowait()
        except queue.Empty:
            return default


def quiet(_asked: Asked, reply: Reply) -> None:
    """A watch in which nothing happens."""
    reply.begin()
    reply.hang()


def saying(*data: bytes, then: Callable[[Reply], None] = Reply.hang) -> Behaviour:
    """A watch that says this, and then hangs or ends."""

    def behaviour(_asked: Asked, reply: Reply) -> None:
        reply.begin()
        for chunk in data:
            reply.chunk(chunk)
        then(reply)

    return behaviour


def refusing(code: int, content: object, **headers: str) -> Behaviour:
    return lambda _asked, reply: reply.json(code, content, **headers)


class Story:
    """A manager's cluster adapter, at work against `api`."""

    def __init__(
        self, api: APIServer, server: ScriptedServer, directory: Path, times: ClusterTimes
    ) -> None:
        self.api = api
        self.server = server
        self.kubeconfig = directory / "kubeconfig"
        self.write_token(api.token)
        self.cluster = KubernetesCluster(
            kubeconfig=self.kubeconfig, argocd_namespace="argocd", instance="acme", times=times
        )
        self.changes: queue.Queue[PreviewKey] = queue.Queue()
        self.on_change: Callable[[PreviewKey], None] = self.changes.put
        self.stop = threading.Event()
        self.thread = threading.Thread(
            target=lambda: self.cluster.watch(self.on_change, self.stop),
            daemon=True,
        )

    def write_token(self, token: str) -> None:
        write_kubeconfig(self.kubeconfig, self.server.url, token)

    def start(self) -> None:
        self.thread.start()

    def next_change(self) -> PreviewKey:
        return self.changes.get(timeout=PATIENCE_SECONDS)

    def health(self, number: int) -> str | None:
        found = self.cluster.application(f"shop-pr-{number}")
        return found.health if found else None

    def asked_of_applications(self) -> list[Asked]:
        return [asked for asked in self.server.asked if asked.path.endswith("/applications")]

    def watches_of_applications(self) -> list[Asked]:
        return [asked for asked in self.asked_of_applications() if "watch" in asked.query]

    def lists_of_applications(self) -> list[Asked]:
        return [asked for asked in self.asked_of_applications() if "watch" not in asked.query]


@contextmanager
def story(
    directory: Path, api: APIServer | None = None, times: ClusterTimes = QUICK
) -> Iterator[Story]:
    api = api or APIServer()
    with ScriptedServer(api.answer) as server:
        told = Story(api, server, directory, times)
        try:
            yield told
        finally:
            told.stop.set()
            if told.thread.ident is not None:
                told.thread.join(PATIENCE_SECONDS)
                assert not told.thread.is_alive()
