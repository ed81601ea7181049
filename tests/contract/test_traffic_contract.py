"""What everything that counts requests does: run on the fake and over the metrics of an ingress controller."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from previews.adapters.ingress_metrics import IngressMetrics
from previews.domain.ports import Traffic
from previews.errors import TransientError
from tests.fakes.traffic import FakeTraffic
from tests.integration.scripted_http import Asked, Reply, ScriptedServer

FIRST, LONGER, OTHER = "preview-shop-pr-4", "preview-shop-pr-42", "preview-cart-pr-4"


class World(Protocol):
    """An ingress controller, and who asks it."""

    @property
    def traffic(self) -> Traffic: ...
    def serve(self, namespace: str, count: int = 1) -> None: ...
    def break_down(self) -> None: ...


class FakeWorld:
    def __init__(self) -> None:
        self.traffic = FakeTraffic()

    def serve(self, namespace: str, count: int = 1) -> None:
        self.traffic.serve(namespace, count)

    def break_down(self) -> None:
        self.traffic.unavailable = True


class MetricsWorld:
    """A controller that writes down what it served as `line` says."""

    def __init__(self, stack: ExitStack, line: str) -> None:
        self._line = line
        self._served: Counter[tuple[str, str]] = Counter()
        self._broken = False
        server = stack.enter_context(ScriptedServer(self._answer))
        self.traffic = IngressMetrics(urls=[f"{server.url}/metrics"])
        stack.callback(self.traffic.close)

    def serve(self, namespace: str, count: int = 1) -> None:
        code = "200" if sum(self._served.values()) % 2 else "404"
        self._served[namespace, code] += count

    def break_down(self) -> None:
        self._broken = True

    def _answer(self, _: Asked, reply: Reply) -> None:
        lines = [
            self._line.format(namespace=namespace, code=code) + f" {count}"
            for (namespace, code), count in self._served.items()
        ]
        always = ["traefik_config_reloads_total 1", "nginx_ingress_controller_success 1"]
        reply.send(503 if self._broken else 200, "\n".join([*always, *lines, ""]).encode())


TRAEFIK = (
    'traefik_service_requests_total{{code="{code}",method="GET",protocol="http",'
    'service="{namespace}-app-http@kubernetes"}}'
)
NGINX = (
    'nginx_ingress_controller_requests{{controller_namespace="ingress-nginx",host="x.example",'
    'ingress="app",namespace="{namespace}",path="/",status="{code}"}}'
)
NGINX_EXPORTED = (
    'nginx_ingress_controller_requests{{exported_namespace="{namespace}",ingress="app",'
    'namespace="ingress-nginx",status="{code}"}}'
)


@pytest.fixture(params=["fake", TRAEFIK, NGINX, NGINX_EXPORTED])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with ExitStack() as stack:
        yield FakeWorld() if request.param == "fake" else MetricsWorld(stack, request.param)


def test_nothing_was_served_at_first(world: World) -> None:
    assert world.traffic.requests([FIRST]).get(FIRST, 0) == 0


def test_every_namespace_has_its_own_count(world: World) -> None:
    world.serve(FIRST)
    world.serve(LONGER, 2)
    world.serve(FIRST, 3)
    world.serve(OTHER)

    counted = world.traffic.requests([FIRST, LONGER])

    assert {name: count for name, count in counted.items() if count} == {FIRST: 4, LONGER: 2}


def test_a_count_goes_on(world: World) -> None:
    world.serve(FIRST, 5)
    assert world.traffic.requests([FIRST])[FIRST] == 5
    world.serve(FIRST)
    assert world.traffic.requests([FIRST])[FIRST] == 6


def test_nobody_is_asked_about(world: World) -> None:
    world.serve(FIRST)
    assert world.traffic.requests([]) == {}


def test_a_controller_that_does_not_answer_is_no_proof_of_silence(world: World) -> None:
    world.serve(FIRST)
    world.break_down()
    with pytest.raises(TransientError):
        world.traffic.requests([FIRST])
