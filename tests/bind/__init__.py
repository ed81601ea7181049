"""Real name servers for tests: Debian's BIND as ordinary processes on loopback, each with zones of its own.

`name_server(...)` starts one; `internet(...)` is a small world of them: a parent zone, two servers of the previews'
zone, and a resolver that follows delegations and validates signatures.
"""

from tests.bind.installation import missing
from tests.bind.internet import Internet, internet
from tests.bind.server import KEY, BindProcess, Key, name_server
from tests.bind.zone import NameServerAwayError, Record, Zone

__all__ = [
    "KEY",
    "BindProcess",
    "Internet",
    "Key",
    "NameServerAwayError",
    "Record",
    "Zone",
    "internet",
    "missing",
    "name_server",
]
