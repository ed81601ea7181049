"""Serves hundreds of previews without hundreds of pods: what Kubernetes has of a page, behind the real ingress.

One wildcard Ingress leads to a Service without a selector, whose one endpoint is this server on the node's own address.
It answers with what its watch on the previews' ConfigMaps says, and 404 where there is none.
"""

import threading
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.bench.watch import Watch
from tests.cluster import RunningCluster
from tests.world.kubernetes import Kubernetes
from tests.world.teardown import remove_namespace

LABEL = "bench.previews.dev/page=true"
NAMESPACE = "previews-bench-pages"
NAME = "pages"

Object = dict[str, Any]


class Pages:
    """Used in a `with`: the objects in the cluster and the server live as long."""

    def __init__(self, cluster: RunningCluster, kubernetes: Kubernetes, zone: str) -> None:
        self._cluster = cluster
        self._kubernetes = kubernetes
        self._zone = zone
        self._page_by_host: dict[str, str] = {}
        self._host_by_object: dict[str, str] = {}
        self._server = ThreadingHTTPServer((cluster.node_ip, 0), partial(_Handler, self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._watch = Watch(cluster, "/api/v1/configmaps", LABEL, self._note)

    def start(self) -> None:
        self._thread.start()
        self._watch.start()
        remove_namespace(self._kubernetes, NAMESPACE)
        for path, body in self._objects():
            self._kubernetes.create(path, body)

    def stop(self) -> None:
        remove_namespace(self._kubernetes, NAMESPACE)
        self._watch.stop()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def page_of(self, host: str) -> str | None:
        return self._page_by_host.get(host)

    def _note(self, _: float, kind: str, found: Object) -> None:
        uid, data = found["metadata"]["uid"], found["data"]
        if kind == "DELETED":
            self._page_by_host.pop(self._host_by_object.pop(uid, ""), None)
        else:
            self._host_by_object[uid] = data["host"]
            self._page_by_host[data["host"]] = data["page"]

    def _objects(self) -> list[tuple[str, Object]]:
        metadata = {"name": NAME, "namespace": NAMESPACE}
        port = self._server.server_port
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": port}]},
        }
        endpoints = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": NAME}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
            "endpoints": [{"addresses": [self._cluster.node_ip], "conditions": {"ready": True}}],
        }
        backend = {"service": {"name": NAME, "port": {"name": "http"}}}
        rule = {
            "host": f"*.{self._zone}",
            "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
        }
        ingress = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": metadata,
            "spec": {"ingressClassName": self._cluster.ingress_class, "rules": [rule]},
        }
        home = f"namespaces/{NAMESPACE}"
        return [
            (
                "/api/v1/namespaces",
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
            ),
            (f"/api/v1/{home}/services", service),
            (f"/apis/discovery.k8s.io/v1/{home}/endpointslices", endpoints),
            (f"/apis/networking.k8s.io/v1/{home}/ingresses", ingress),
        ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # Traefik keeps its connections

    def __init__(self, pages: Pages, *rest: object) -> None:
        self._pages = pages
        super().__init__(*rest)  # type: ignore[arg-type] # what the server itself passes

    def do_GET(self) -> None:
        page = self._pages.page_of(self.headers.get("host", "").partition(":")[0])
        body = (page or "there is no such page").encode()
        self.send_response(HTTPStatus.OK if page else HTTPStatus.NOT_FOUND)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 its name there
        """Nothing: a page is asked for twenty times a second."""
