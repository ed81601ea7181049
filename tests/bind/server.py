"""One BIND as a process, with its zones in a directory that goes away."""

import base64
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode

from tests.bind.installation import Programs, programs

STARTS_WITHIN_SECONDS = 20.0
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Key:
    """A TSIG key."""

    name: str
    secret: str = field(
        default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode(), repr=False
    )
    algorithm: str = "hmac-sha256"

    def clause(self) -> str:
        return f'key "{self.name}" {{ algorithm {self.algorithm}; secret "{self.secret}"; }};\n'


KEY = Key("previews")
EVERYTHING = f'allow-update {{ key "{KEY.name}"; }}; allow-transfer {{ key "{KEY.name}"; }};'


@dataclass(kw_only=True)
class BindProcess:
    """A server. `freeze` has it take questions and answer none; started again, it knows what it was told before."""

    installed: Programs
    directory: Path
    zones: Mapping[str, str]
    """Zone files by origin."""
    port: int = field(default_factory=lambda: free_port([LOOPBACK]))
    address: str = LOOPBACK
    rights: str = EVERYTHING
    """Who may do what with the zones."""
    options: str = "recursion no; dnssec-validation no;"
    statements: str = ""
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        blocks = []
        for origin, text in self.zones.items():
            file = self.directory / f"{origin.rstrip('.') or 'root'}.zone"
            # What was updated since lies in a journal beside the file, or in the file.
            if not file.exists():
                file.write_text(text)
            blocks.append(f'zone "{origin}" {{ type primary; file "{file}"; {self.rights} }};\n')
        configuration = self.directory / "named.conf"
        configuration.write_text(self._configuration() + "".join(blocks) + self.statements)
        log = (self.directory / "log").open("ab")
        self._process = subprocess.Popen(
            [self.installed.path("named"), "-g", "-n", "1", "-c", str(configuration)],
            env=self.installed.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        log.close()
        self._wait()

    def stop(self) -> None:
        """SIGKILL: nothing is written out before."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        # Until it has stopped, it may still answer.
        os.waitpid(self._process.pid, os.WUNTRACED)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _configuration(self) -> str:
        return (
            f"{KEY.clause()}"
            "controls { };\n"
            "options {\n"
            f'  directory "{self.directory}";\n'
            f"  listen-on port {self.port} {{ {self.address}; }};\n"
            "  listen-on-v6 { none; };\n"
            "  pid-file none;\n"
            f'  session-keyfile "{self.directory}/session.key";\n'
            "  empty-zones-enable no;\n"
            "  notify no;\n"
            f"  {self.options}\n"
            "};\n"
        )

    def _wait(self) -> None:
        """Until it answers anything at all."""
        assert self._process is not None
        deadline = time.monotonic() + STARTS_WITHIN_SECONDS
        question = dns.message.make_query("version.bind", "TXT", "CH")
        while True:
            try:
                dns.query.udp(question, self.address, timeout=0.1, port=self.port)
            except (dns.exception.Timeout, OSError):
                log = (self.directory / "log").read_text()[-2000:]
                assert self._process.poll() is None, f"named ended: {log}"
                assert time.monotonic() < deadline, f"named does not answer: {log}"
            else:
                return


@contextmanager
def name_server(zones: Mapping[str, str], *, rights: str = "") -> Iterator[BindProcess]:
    """A server of these zones that takes updates and transfers signed with `KEY`."""
    directory = Path(tempfile.mkdtemp(prefix="previews-bind-"))
    server = BindProcess(
        installed=programs(),
        directory=directory,
        zones=dict(zones),
        rights=rights or EVERYTHING,
    )
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory)


def free_port(addresses: list[str]) -> int:
    """One that is free for UDP and TCP on all of these."""
    for _ in range(100):
        port = 20000 + secrets.randbelow(20000)
        with ExitStack() as bound:
            try:
                for address in addresses:
                    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                        bound.enter_context(socket.socket(type=kind)).bind((address, port))
            except OSError:
                continue
            return port
    raise AssertionError("there is no free port")
