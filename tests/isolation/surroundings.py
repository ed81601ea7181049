"""What the tests of isolation look at: previews that people opened, a zone of names, and a port of the node."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.isolation.pods import Pod, page_address, start_pod
from tests.world.pull_request import Page, PullRequest
from tests.world.waiting import wait_until
from tests.world.world import World

NAME = "isolation"
SHOP = "shop.isolation.example."
ZONE = f"""\
$TTL 60
@ SOA ns.{SHOP} hostmaster.{SHOP} 1 3600 600 86400 60
@ NS ns.{SHOP}
ns A 192.0.2.53
page A 192.0.2.80
"""


@dataclass(frozen=True)
class Preview:
    """A live one, and a pod in its namespace that its author could have written."""

    pull_request: PullRequest
    page: str
    """The address of the pod that serves it."""
    pod: Pod


def live_preview(world: World, image: str, branch: str) -> Preview:
    opened = world.open_pull_request(branch, Page(branch, "Behind a fence."))
    opened.wait_until_live()
    wait_until("its page is shown", opened.shows_its_commit, explain=opened.explain)
    namespace = opened.names.namespace
    return Preview(
        opened,
        page_address(world.cluster, namespace),
        start_pod(world.cluster, image, namespace),
    )


@contextmanager
def listening_on(address: str) -> Iterator[int]:
    """A port of this address that takes connections, and ends them."""
    with socket.create_server((address, 0)) as server:
        port: int = server.getsockname()[1]
        taking = threading.Thread(target=_take, args=(server,))
        taking.start()
        try:
            yield port
        finally:
            server.shutdown(socket.SHUT_RDWR)
            taking.join()


def _take(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            server.accept()[0].close()
