"""The forge's webhook on its way to the manager: some deliveries are lost, for a while all of them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from random import Random

from tests.bench.relay import Relay


class LossyRelay(Relay):
    """Tells the forge that it took every delivery, and passes on only some."""

    def __init__(self, manager_port: int, *, seed: int, lost_share: float) -> None:
        super().__init__(manager_port)
        self._random = Random(f"{seed}/webhooks")
        self._lost_share = lost_share
        self._deaf = threading.Event()
        self._lock = threading.Lock()
        self.lost = 0

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """As long as this lasts, nothing is passed on."""
        self._deaf.set()
        try:
            yield
        finally:
            self._deaf.clear()

    def pass_on(self, path: str, headers: dict[str, str], body: bytes) -> int:
        with self._lock:
            lose = self._deaf.is_set() or self._random.random() < self._lost_share
            self.lost += lose
        return HTTPStatus.OK if lose else super().pass_on(path, headers, body)
