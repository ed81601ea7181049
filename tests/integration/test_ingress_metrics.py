"""The metrics of ingress controllers that answer well, badly, slowly, endlessly and not at all."""

import socket
from collections.abc import Iterator

import pytest

from previews.adapters.ingress_metrics import IngressMetrics
from previews.errors import TransientError
from tests.integration.scripted_http import Asked, Reply, Script, ScriptedServer

NAMESPACE = "preview-shop-pr-42"
REAL = b"""\
# HELP go_goroutines Number of goroutines that currently exist.
# TYPE go_goroutines gauge
go_goroutines 70
# HELP traefik_entrypoint_requests_total How many HTTP requests processed on an entrypoint.
# TYPE traefik_entrypoint_requests_total counter
traefik_entrypoint_requests_total{code="200",entrypoint="web",method="GET",protocol="http"} 90
# HELP traefik_service_request_duration_seconds How long it took to process the request on a service.
# TYPE traefik_service_request_duration_seconds histogram
traefik_service_request_duration_seconds_bucket{code="200",service="preview-shop-pr-42-app-http@kubernetes",le="0.1"} 7
traefik_service_request_duration_seconds_count{code="200",service="preview-shop-pr-42-app-http@kubernetes"} 7
# HELP traefik_service_requests_total How many HTTP requests processed on a service.
# TYPE traefik_service_requests_total counter
traefik_service_requests_total{code="200",method="GET",protocol="http",service="preview-shop-pr-42-app-http@kubernetes"} 5
traefik_service_requests_total{code="404",method="GET",protocol="http",service="preview-shop-pr-42-app-http@kubernetes"} 2
traefik_service_requests_total{code="200",method="GET",protocol="http",service="preview-shop-pr-4-app-http@kubernetes"} 100
traefik_service_requests_total{code="200",method="GET",protocol="http",service="preview-shop-pr-42-api-8000@kubernetes"} 1e+06
traefik_service_requests_total{code="200",method="GET",protocol="http",service="dashboard@internal"} 3
"""  # noqa: E501 as Traefik writes them


class Replica:
    """One process of a controller, whose count a test sets."""

    def __init__(self) -> None:
        self.served: int | None = 0
        self.answers = True
        self.server = ScriptedServer(self._answer)

    def _answer(self, _: Asked, reply: Reply) -> None:
        lines = ["traefik_config_reloads_total 1", ""]
        if self.served is not None:
            service = f"{NAMESPACE}-app-http@kubernetes"
            line = f'traefik_service_requests_total{{service="{service}"}} {self.served}'
            lines.insert(0, line)
        reply.send(200 if self.answers else 503, "\n".join(lines).encode())


@pytest.fixture
def replicas() -> Iterator[tuple[Replica, Replica]]:
    first, second = Replica(), Replica()
    with first.server, second.server:
        yield first, second


def read(script: Script, *, timeout_seconds: float = 10.0) -> int:
    with ScriptedServer(script) as server:
        metrics = IngressMetrics(urls=[f"{server.url}/metrics"], timeout_seconds=timeout_seconds)
        try:
            return metrics.requests([NAMESPACE]).get(NAMESPACE, 0)
        finally:
            metrics.close()


def answering(body: bytes, status: int = 200, **headers: str) -> Script:
    return lambda _asked, reply: reply.send(status, body, **headers)


def test_all_services_codes_and_methods_of_a_namespace_are_summed() -> None:
    assert read(answering(REAL)) == 1_000_007


def test_the_longest_namespace_is_whose_it_is() -> None:
    shorter = {"preview-shop-pr", "preview-shop", "preview"}
    with ScriptedServer(answering(REAL)) as server:
        metrics = IngressMetrics(urls=[server.url])
        counted = metrics.requests([NAMESPACE, *shorter])
        metrics.close()
    assert counted[NAMESPACE] == 1_000_007
    assert counted["preview-shop-pr"] == 100
    assert (counted["preview-shop"], counted["preview"]) == (0, 0)


def test_replicas_are_summed_and_one_that_starts_anew_takes_nothing_away(
    replicas: tuple[Replica, Replica],
) -> None:
    first, second = replicas
    metrics = IngressMetrics(urls=[replica.server.url for replica in replicas])

    def count() -> int:
        return metrics.requests([NAMESPACE])[NAMESPACE]

    first.served, second.served = 100, 50
    assert count() == 150
    first.served, second.served = 3, 51
    assert count() == 154
    # Nobody has asked it for anything yet.
    second.served = None
    assert count() == 154
    second.served = 2
    assert count() == 156
    metrics.close()


def test_one_replica_that_does_not_answer_leaves_all_unknown(
    replicas: tuple[Replica, Replica],
) -> None:
    first, second = replicas
    metrics = IngressMetrics(urls=[replica.server.url for replica in replicas])
    first.served, second.served = 1, 1
    assert metrics.requests([NAMESPACE])[NAMESPACE] == 2
    second.answers = False
    with pytest.raises(TransientError, match="answered with 503"):
        metrics.requests([NAMESPACE])
    second.answers = True
    assert metrics.requests([NAMESPACE])[NAMESPACE] == 2
    metrics.close()


def test_ten_thousand_lines_are_read() -> None:
    lines = [
        f'traefik_service_requests_total{{code="{code}",method="GET",protocol="http",'
        f'service="preview-shop-pr-{number}-app-http@kubernetes"}} {number}\n'
        for number in range(1, 2001)
        for code in (200, 301, 304, 404, 500)
    ]
    assert read(answering("".join(lines).encode())) == 5 * 42


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no metrics of Traefik or ingress-nginx"),
        (b"<!doctype html><title>traefik_</title>", "no metrics of Traefik"),
        (b"node_cpu_seconds_total 5\n", "check ingress.metrics_urls"),
        (b'traefik_service_requests_total{service="a} 5\n', "cannot be read"),
        (b'traefik_service_requests_total{service="a"\n', "cannot be read"),
        (b'traefik_service_requests_total{service="a"} five\n', "cannot be read"),
        (b'traefik_service_requests_total{service="preview-shop-pr-42-a"} NaN\n', "cannot be read"),
        (b'traefik_service_requests_total{service="preview-shop-pr-42-a"} Inf\n', "cannot be read"),
        (b'traefik_service_requests_total{service="\xff"} 5\n', "cannot be read"),
    ],
)
def test_what_is_no_count_is_not_taken_for_silence(body: bytes, said: str) -> None:
    with pytest.raises(TransientError, match=said) as raised:
        read(answering(body))
    assert raised.value.reason == "TrafficAnswer"


@pytest.mark.parametrize("status", [204, 302, 401, 404, 500])
def test_no_other_status_is_an_answer_and_no_redirect_is_followed(status: int) -> None:
    with pytest.raises(TransientError, match=f"answered with {status}"):
        read(answering(REAL if status > 204 else b"", status, Location="/elsewhere"))


def test_half_an_answer_is_none() -> None:
    def script(_: Asked, reply: Reply) -> None:
        reply.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + REAL)

    with pytest.raises(TransientError) as raised:
        read(script)
    assert raised.value.reason == "TrafficUnreachable"


def test_an_endless_answer_is_given_up() -> None:
    comment = b"#" * 2**20 + b"\n"

    def endless(_: Asked, reply: Reply) -> None:
        reply.begin()
        while True:
            # Ends with an OSError, when the reader hangs up.
            reply.chunk(comment)

    with pytest.raises(TransientError, match="never end"):
        read(endless)


def test_a_slow_answer_is_given_up() -> None:
    def drip(_: Asked, reply: Reply) -> None:
        reply.begin()
        while not reply.closing.wait(0.02):
            reply.chunk(b"\n")

    with pytest.raises(TransientError, match=r"too slow|timed out") as raised:
        read(drip, timeout_seconds=0.3)
    assert raised.value.reason == "TrafficUnreachable"


def test_a_silent_server_is_given_up() -> None:
    with pytest.raises(TransientError, match="timed out"):
        read(lambda _asked, reply: reply.hang(), timeout_seconds=0.3)


def test_nothing_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        metrics = IngressMetrics(urls=[f"http://127.0.0.1:{unused.getsockname()[1]}/metrics"])
        with pytest.raises(TransientError, match="gives no metrics") as raised:
            metrics.requests([NAMESPACE])
        metrics.close()
    assert raised.value.reason == "TrafficUnreachable"
