"""Where a host's name leads, and whether a probe may go there.

Names are looked up once: what was judged here is what is dialled. A probe never reaches what only this machine or its
cloud should be asked, whatever the name server says.
"""

import socket
import threading
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

LOOPBACK = IPv4Address("127.0.0.1")
ADDRESSES_MAX = 4
"""Of one name; the others are not tried."""
LOOKUPS_MAX = 32
"""At once. The system's resolver cannot be told to hurry, so one that hangs holds a thread each time."""

Address = IPv4Address | IPv6Address

_METADATA = frozenset(
    ip_address(text)
    for text in (
        # Those of clouds that do not lie in the link-local range: anybody there gets the machine's credentials.
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
    )
)
_THIS_NETWORK = ip_network("0.0.0.0/8")
_NAT64 = ip_network("64:ff9b::/96")


class HostNotFoundError(Exception):
    """No name server knows the host, or none answered; the text says which."""


class AddressRefusedError(Exception):
    """The host leads to nothing that may be asked; the text names an address."""


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What may be asked beside the public internet."""

    private: bool
    """RFC 1918, unique local, shared (CGNAT) and loopback."""
    loopback: bool
    """This machine, where the zone itself says that it lies here."""

    def refuses(self, address: Address) -> bool:
        """Whether this address must not be asked."""
        address = _inner(address)
        if (
            address.is_link_local
            or address.is_multicast
            or address.is_unspecified
            or address in _METADATA
            or (isinstance(address, IPv4Address) and _is_nowhere(address))
        ):
            return True
        if address.is_loopback:
            return not (self.private or self.loopback)
        return not (address.is_global or self.private)


class Addresses:
    """Looks hosts up, and keeps to the rules. Safe from any thread."""

    def __init__(self, rules: AddressRules) -> None:
        self._rules = rules
        self._lookups = threading.BoundedSemaphore(LOOKUPS_MAX)

    def find(self, host: str, port: int, timeout_seconds: float) -> list[Address]:
        """The addresses of a host that may be asked, the resolver's favourite first.

        Raises HostNotFoundError, AddressRefusedError, and TimeoutError when the resolver takes too long.
        """
        found = self._look_up(host, port, timeout_seconds)
        allowed = [each for each in found if not self._rules.refuses(each)]
        if not allowed:
            raise AddressRefusedError(f"the host leads to {found[0]}, which is not asked")
        return allowed[:ADDRESSES_MAX]

    def _look_up(self, host: str, port: int, timeout_seconds: float) -> list[Address]:
        # RFC 6761: these names are loopback, and no resolver is to be asked for them.
        if host == "localhost" or host.endswith(".localhost"):
            return [LOOPBACK]
        if not self._lookups.acquire(blocking=False):
            raise HostNotFoundError("the name server does not answer")
        lookup = _Lookup(host, port, self._lookups)
        threading.Thread(target=lookup.run, name="probe-lookup", daemon=True).start()
        if not lookup.done.wait(timeout_seconds):
            raise TimeoutError
        if not lookup.found:
            raise HostNotFoundError(lookup.problem)
        return lookup.found


class _Lookup:
    """One question to the system's resolver, in a thread that nobody has to wait for."""

    def __init__(self, host: str, port: int, place: threading.BoundedSemaphore) -> None:
        self._host = host
        self._port = port
        self._place = place
        self.done = threading.Event()
        self.found: list[Address] = []
        self.problem = "host name not found"

    def run(self) -> None:
        try:
            answers = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            # A scope such as %eth0 belongs to link-local addresses only, and those are refused anyway.
            texts = dict.fromkeys(str(answer[4][0]).partition("%")[0] for answer in answers)
            self.found = [ip_address(text) for text in texts]
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                self.problem = "the name server does not answer"
        except (OSError, UnicodeError):
            # As if the name did not exist: nothing can be asked there.
            pass
        finally:
            self._place.release()
            self.done.set()


def _inner(address: Address) -> Address:
    """The IPv4 address that some IPv6 addresses lead to."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def _is_nowhere(address: IPv4Address) -> bool:
    """Addresses of no machine: some systems take them for their own."""
    return address in _THIS_NETWORK or address.is_reserved
