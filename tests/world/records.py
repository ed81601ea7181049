"""A real name server of one instance's zone: the manager gives each host its record there, and others find it there.

Beside them the zone has decoys, records of its operator's own. Some look like ours: all must be untouched at the end.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from previews.domain.preview import PreviewKey
from tests.bind import KEY, BindProcess, Record, Zone, name_server
from tests.world.manager import Manager

INGRESS = "127.0.0.1"
MARK = "_previews"
"""The label of a host's mark, as docs/dns.md has it."""
DECOY_NUMBERS = (4_000_000_001, 4_000_000_002)
"""Nobody's pull requests."""

Object = dict[str, Any]


@dataclass(frozen=True)
class PreviewZone:
    """The zone of one project's hosts."""

    zone: Zone
    origin: str
    host_pattern: str
    """With {number} in its first label."""
    instance: str
    project: str
    placed: frozenset[Record]
    """What the operator has there."""

    @property
    def server(self) -> BindProcess:
        return self.zone.server

    def configure(self, manager: Manager) -> None:
        """Have each host get a record, and the manager's own process find hosts of the zone at this server.

        To be called before it is started.
        """
        known = json.loads((manager.directory / "previews.yaml").read_text())
        key_file = manager.write_secret("tsig-secret", KEY.secret)
        dns = {
            "mode": "per_preview",
            "server": self.server.address,
            "port": self.server.port,
            "key_name": KEY.name,
            "key_algorithm": KEY.algorithm,
            "key_file": str(key_file),
            "addresses": [INGRESS],
        }
        # The ingress of the tests is on this machine, which is asked for no name of the public DNS unless one says so.
        domain = {**known["domain"], "private_addresses": True}
        manager.configure({**known, "dns": dns, "domain": domain})
        manager.program = self.looked_up_by(manager.program)

    def looked_up_by(self, program: Sequence[str]) -> tuple[str, ...]:
        """The same module with its arguments, finding hosts of the zone at this server."""
        where = f"{self.server.address}:{self.server.port}"
        return ("tests.bind.resolving", "--server", where, "--zone", self.origin, *program)

    def wanted(self, number: int) -> frozenset[Record]:
        """The record of a live preview, and its mark."""
        host = self.host_pattern.format(number=number)
        said = f'"previews=1,instance={self.instance},preview={self.project}#{number}"'
        return frozenset({Record(host, "A", INGRESS), Record(f"{MARK}.{host}", "TXT", said)})

    def number_of(self, record: Record) -> int | None:
        """The pull request at whose preview's host, or below it, a record is."""
        before, _, after = self.host_pattern.partition("{number}")
        found = re.fullmatch(
            rf"(?:.*\.)?{re.escape(before)}(\d+){re.escape(after)}", record.name, re.IGNORECASE
        )
        return int(found[1]) if found else None

    def of_previews(self) -> frozenset[Record]:
        """All but the operator's own. Raises NameServerAwayError."""
        return self.zone.records() - self.placed

    def left(self, key: PreviewKey) -> list[str]:
        """What the zone still has of a preview."""
        return sorted(str(it) for it in self.of_previews() if self.number_of(it) == key.number)

    def touched(self) -> list[str]:
        """What has become of the operator's own records: those that are missing, and what was put beside them."""
        now, names = self.zone.records(), {it.name for it in self.placed}
        changed = self.placed ^ {it for it in now if it.name in names}
        return [f"a decoy was touched: {it}" for it in sorted(changed)]

    def problems(self, live: Collection[int]) -> list[str]:
        """How the zone differs from what it must be when nothing but these is live."""
        there, wanted = self.zone.records(), self.placed.union(*map(self.wanted, live))
        missing = [f"no record {it}" for it in sorted(wanted - there)]
        return [*missing, *(f"a record too many: {it}" for it in sorted(there - wanted))]


@contextmanager
def zone_for(host_pattern: str, *, instance: str, project: str) -> Iterator[PreviewZone]:
    """A name server with decoys in the zone. Nothing of it is left afterwards."""
    label, _, origin = host_pattern.partition(".")
    with name_server({f"{origin}.": zone_file(label, project)}) as server:
        zone = Zone(server, origin)
        yield PreviewZone(zone, origin, host_pattern, instance, project, zone.records())


def zone_file(label: str, project: str) -> str:
    """Records that are not ours: a host's without a mark, one with another instance's, and all sorts below the zone."""
    unmarked, others = (label.format(number=number) for number in DECOY_NUMBERS)
    return (
        "$TTL 300\n"
        "@ IN SOA ns hostmaster 1 3600 600 86400 60\n"
        "@ NS ns\n"
        "ns A 127.0.0.1\n"
        "mail A 192.0.2.25\n"
        "@ MX 10 mail\n"
        '@ TXT "v=spf1 -all"\n'
        f"{unmarked} A {INGRESS}\n"
        f"{others} A {INGRESS}\n"
        f'{MARK}.{others} TXT "previews=1,instance=another,preview={project}#{DECOY_NUMBERS[1]}"\n'
        f'{MARK}.mail TXT "previews are none of this host\'s business"\n'
    )
