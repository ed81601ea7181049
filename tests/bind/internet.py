"""A small internet on loopback: a root with the zone `example.`, two servers of `preview.example.`, and a resolver.

They all listen on one port, at addresses of their own, so that delegations lead where they should.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bind.datagrams import Datagrams, datagrams, relayed
from tests.bind.installation import Programs, programs
from tests.bind.server import BindProcess, free_port

ROOT, FIRST, SECOND = "127.0.0.2", "127.0.0.3", "127.0.0.4"
INGRESS = "192.0.2.10"
PARENT = "example."
ZONE = "preview.example."

_HEAD = "$TTL 300\n@ IN SOA ns1 hostmaster 1 3600 600 86400 60\n"
DELEGATION = f"preview NS ns1.preview\npreview NS ns2.preview\nns1.preview A {FIRST}\nns2.preview A {SECOND}\n"
SERVERS = f"@ NS ns1\n@ NS ns2\nns1 A {FIRST}\nns2 A {SECOND}\n"
WILDCARD = f"* A {INGRESS}\n"

_ROOT_ZONE = (
    "$TTL 300\n. IN SOA root.example. hostmaster.example. 1 3600 600 86400 60\n"
    f". NS root.example.\nexample. NS root.example.\nroot.example. A {ROOT}\n"
)


@dataclass(kw_only=True)
class Internet:
    """Started and ready to be asked, at the address of each server and this port."""

    port: int
    first: Datagrams
    second: Datagrams
    resolver: BindProcess


@contextmanager
def internet(
    *,
    delegation: str = DELEGATION,
    parent_records: str = "",
    records: str = SERVERS + WILDCARD,
    other_records: str | None = None,
    signed: bool = False,
    tampered: bool = False,
) -> Iterator[Internet]:
    """The parent's delegation, and what the two servers of the previews' zone say.

    `signed`: both zones carry signatures, and the resolver trusts the parent's key. `tampered`: the zone was changed
    after it was signed.
    """
    directory = Path(tempfile.mkdtemp(prefix="previews-internet-"))
    installed = programs()
    parent_zone = f"{_HEAD}@ NS root\nroot A {ROOT}\nns1 A {ROOT}\n{delegation}{parent_records}"
    zone = _HEAD + records
    other = _HEAD + (records if other_records is None else other_records)
    anchor = ""
    if signed:
        zone, signer, _ = _sign(installed, directory, ZONE, zone)
        other = zone
        parent_zone, _, anchor = _sign(installed, directory, PARENT, parent_zone + signer)
    if tampered:
        assert INGRESS in zone
        zone = other = zone.replace(INGRESS, "192.0.2.66")
    port = free_port([ROOT, FIRST, SECOND])
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory)

        def listen(address: str, zones: dict[str, str]) -> Datagrams:
            server = BindProcess(installed=installed, directory=directory / address, zones=zones)
            stack.callback(server.stop)
            server.start()
            return stack.enter_context(datagrams(relayed(server.port), address=address, port=port))

        listen(ROOT, {".": _ROOT_ZONE, PARENT: parent_zone})
        first, second = listen(FIRST, {ZONE: zone}), listen(SECOND, {ZONE: other})
        resolver = _resolver(installed, directory, port, anchor)
        stack.callback(resolver.stop)
        resolver.start()
        yield Internet(port=port, first=first, second=second, resolver=resolver)


def _resolver(installed: Programs, directory: Path, port: int, anchor: str) -> BindProcess:
    hints = directory / "hints"
    hints.write_text(f". 3600 NS root.example.\nroot.example. 3600 A {ROOT}\n")
    trusted = f"trust-anchors {{ {anchor} }};\n" if anchor else ""
    return BindProcess(
        installed=installed,
        directory=directory / "resolver",
        zones={},
        options=(
            f"port {port}; recursion yes; dnssec-validation {'yes' if anchor else 'no'};"
            " max-cache-ttl 0; max-ncache-ttl 0; servfail-ttl 0; resolver-query-timeout 2000;"
        ),
        statements=f'{trusted}zone "." {{ type hint; file "{hints}"; }};\n',
    )


def _sign(installed: Programs, directory: Path, origin: str, zone: str) -> tuple[str, str, str]:
    """The signed zone, what the parent says of its key, and the key as a resolver is told to trust it."""
    folder = directory / f"keys-{origin}"
    folder.mkdir()
    key = _run(
        installed, folder, "dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", origin
    ).strip()
    (folder / "zone").write_text(zone)
    _run(
        *(installed, folder, "dnssec-signzone", "-q", "-S", "-z", "-o", origin, "-f", "signed"),
        *("-e", "+864000", "zone"),
    )
    signer = _run(installed, folder, "dnssec-dsfromkey", "-2", key)
    fields = (folder / f"{key}.key").read_text().strip().splitlines()[-1].split()
    flags, protocol, algorithm, *data = fields[fields.index("DNSKEY") + 1 :]
    anchor = f'"{origin}" static-key {flags} {protocol} {algorithm} "{"".join(data)}";'
    return (folder / "signed").read_text(), signer, anchor


def _run(installed: Programs, folder: Path, name: str, *arguments: str) -> str:
    return subprocess.run(
        [installed.path(name), *arguments],
        env=installed.environment,
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
