"""People who look at a preview: one request, or one after another without a pause, each on a connection of its own."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx2

OK = 200
SEE_OTHER = 303
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


Find = Callable[[str], str | None]
"""Where a host is: its address, or a name that the system's resolver is asked for; None if nobody knows it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from the public address through the real ingress."""

    status: int | None
    """None when there was no HTTP answer at all."""
    body: str

    def __str__(self) -> str:
        return f"HTTP {self.status}" if self.status else self.body


def address_here(host: str) -> str:
    """A name below localhost is this machine's, as browsers and curl have it: no resolver is asked."""
    return "127.0.0.1" if host.endswith(".localhost") else host


def ask(url: str, user_agent: str = BROWSER, *, find: Find = address_here) -> Answer:
    """One request."""
    return _send("GET", url, user_agent, find)


def fill_in(url: str, fields: Mapping[str, str], *, find: Find = address_here) -> Answer:
    """Send a form. The answer is the one to the form itself, wherever it leads."""
    return _send("POST", url, BROWSER, find, fields)


def _send(
    method: str, url: str, user_agent: str, find: Find, fields: Mapping[str, str] | None = None
) -> Answer:
    address = httpx2.URL(url)
    found = find(address.host)
    if found is None:
        return Answer(None, f"{address.host} is not found")
    headers = {"host": address.netloc.decode("ascii"), "user-agent": user_agent}
    try:
        answer = httpx2.request(
            method,
            address.copy_with(host=found),
            data=fields,
            headers=headers,
            trust_env=False,
            timeout=5,
        )
    except httpx2.HTTPError as error:
        return Answer(None, f"{type(error).__name__}: {error}")
    return Answer(answer.status_code, answer.text)


class Visitor:
    """Asks again and again from a thread of its own, as long as the `with` lasts."""

    def __init__(self, url: str, *, pause_seconds: float = 0.02, user_agent: str = BROWSER) -> None:
        self._url = url
        self._user_agent = user_agent
        self._pause_seconds = pause_seconds
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, name="visitor", daemon=True)
        self.visits: list[Answer] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        self._thread.join()

    def failures(self) -> list[str]:
        """Every answer that was not the page."""
        return [str(answer) for answer in self.visits if answer.status != OK]

    def saw(self, texts: dict[str, str]) -> Counter[str]:
        """How many pages held each text, by the text's name."""
        return Counter(
            name for answer in self.visits for name, text in texts.items() if text in answer.body
        )

    def _run(self) -> None:
        while not self._left.wait(self._pause_seconds):
            self.visits.append(ask(self._url, self._user_agent))
