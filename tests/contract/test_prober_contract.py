"""What every prober does: run on the fake and over real HTTP."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from previews.adapters.probe import HTTPProber
from previews.domain.ports import Prober
from previews.domain.preview import ProbeResult
from previews.domain.probing import ProbePolicy
from tests.fakes.prober import FakeProber
from tests.integration.scripted_http import ScriptedServer

POLICY = ProbePolicy()


class World(Protocol):
    """A prober, and two previews that it can ask."""

    @property
    def prober(self) -> Prober: ...
    def url(self, host: str) -> str: ...
    def answer(self, host: str, status: int) -> None:
        """What this host answers from now on."""
        ...


class FakeWorld:
    def __init__(self) -> None:
        self.prober = FakeProber(answers=False)

    def url(self, host: str) -> str:
        return f"https://{host}/"

    def answer(self, host: str, status: int) -> None:
        details = {200: "200 OK", 502: "502 Bad Gateway"}
        self.prober.says(host, details[status], answered=status == 200)


class HTTPWorld:
    """One ingress, which tells the previews apart by their names."""

    def __init__(self, stack: ExitStack) -> None:
        self.prober = HTTPProber(zone="preview.localhost")
        self._statuses: dict[str, int] = {}
        self._server = stack.enter_context(
            ScriptedServer(
                lambda asked, reply: reply.send(
                    self._statuses.get(asked.headers["host"].partition(":")[0], 404)
                )
            )
        )

    def url(self, host: str) -> str:
        return f"http://{host}:{self._server.port}/"

    def answer(self, host: str, status: int) -> None:
        self._statuses[host] = status


@pytest.fixture(params=["fake", "http"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with ExitStack() as stack:
        yield FakeWorld() if request.param == "fake" else HTTPWorld(stack)


def test_a_preview_answers_for_itself_alone(world: World) -> None:
    first, second = "pr-42.preview.localhost", "pr-43.preview.localhost"
    nothing = ProbeResult(answered=False, detail="404 Not Found")
    assert world.prober.probe(world.url(first), POLICY) == nothing
    world.answer(first, 200)
    result = world.prober.probe(world.url(first), POLICY)
    assert result == ProbeResult(answered=True, detail="200 OK")
    assert world.prober.probe(world.url(second), POLICY) == nothing


def test_an_error_page_is_no_answer(world: World) -> None:
    host = "pr-42.preview.localhost"
    world.answer(host, 200)
    world.answer(host, 502)
    failed = ProbeResult(answered=False, detail="502 Bad Gateway")
    assert world.prober.probe(world.url(host), POLICY) == failed


def test_each_request_is_told_by_its_host(world: World) -> None:
    host = "pr-42.preview.localhost"
    world.answer(host, 200)
    told: list[str] = []
    world.prober.probe(world.url(host), POLICY, on_request=told.append)
    assert told == [host]
