"""`python -m tests.bind.resolving --server ADDRESS:PORT --zone ZONE MODULE ...` runs a module that finds the zone's
hosts at this server.

It stands for the resolver of the machine, which nobody but root may point elsewhere, and then for all at once. Every
other name is looked up as ever.
"""

import argparse
import runpy
import socket
import sys
from collections.abc import Callable
from typing import Any

from tests.bind.zone import NameServerAwayError, addresses_at

LookUp = Callable[..., list[Any]]


def finding(zone: str, server: str, server_port: int, others: LookUp) -> LookUp:
    """A `getaddrinfo` that asks the server for hosts in the zone, and the given one for all others."""

    def getaddrinfo(  # noqa: PLR0917 - its signature there
        host: bytes | str | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002 - its name there
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        rest = (port, family, type, proto, flags)
        if not isinstance(host, str) or not host.rstrip(".").endswith(f".{zone}"):
            return others(host, *rest)
        try:
            found = addresses_at(server, server_port, host)
        except NameServerAwayError as error:
            raise socket.gaierror(socket.EAI_AGAIN, str(error)) from error
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} is not in {zone}")
        return [answer for each in found for answer in others(each, *rest)]

    return getaddrinfo


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bind.resolving", description=__doc__)
    parser.add_argument("--server", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--zone", required=True)
    parser.add_argument("module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    address, _, port = given.server.rpartition(":")
    socket.getaddrinfo = finding(given.zone, address, int(port), socket.getaddrinfo)
    sys.argv = [given.module, *given.arguments]
    runpy.run_module(given.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
