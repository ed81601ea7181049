"""What it costs to ask a thousand live previews every minute, over TLS as a browser does and without."""

import multiprocessing
import shutil
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from previews.adapters.probe import HTTPProber
from previews.domain.preview import Phase, PreviewKey
from previews.domain.probing import ANSWERED, ProbePolicy, ProbeVerdict
from previews.domain.project import Helm, Project
from previews.domain.record import PreviewRecord
from previews.reconcile.probes import Probes
from previews.reconcile.pulse import Pulse
from tests.authority import Authority
from tests.bench.figures import Part

Say = Callable[[str], None]

PREVIEWS = 1000
INTERVAL_SECONDS = 60.0
ZONE = "pulse.localhost"
PAGE = b"<!doctype html>" + b"<p>A page of a usual size.</p>\n" * 500
PATIENCE_SECONDS = 60.0
ASKED_AT_LEAST = 0.95
"""Of the previews, within one interval: what was not asked would be free."""


def measure_pulse(part: Part, say: Say, _samples: int) -> None:
    """The real pulse and prober in this process; the ingress is another one."""
    directory = Path(tempfile.mkdtemp(prefix="previews-bench-pulse-"))
    try:
        authority = Authority(directory)
        certificate = authority.issue(f"*.{ZONE}")
        for scheme, file in (("https", certificate), ("http", None)):
            say(f"{PREVIEWS} previews over {scheme}, for {INTERVAL_SECONDS:.0f} s")
            with _ingress(file) as port:
                prober = HTTPProber(zone=ZONE, ca_file=authority.file)
                _measure(part, scheme, _project(scheme, port), prober)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _measure(part: Part, scheme: str, project: Project, prober: HTTPProber) -> None:
    suspected: list[PreviewKey] = []

    def enqueue(keys: Iterable[PreviewKey]) -> None:
        suspected.extend(keys)

    projects = {project.name: project}
    probes = Probes(prober, projects, waiting_at_most=4)
    pulse = Pulse(projects, probes, enqueue, interval_seconds=INTERVAL_SECONDS)
    believed = ProbeVerdict(answered=True, detail="200 OK")
    for number in range(1, PREVIEWS + 1):
        key = PreviewKey(project.name, number)
        pulse.note(PreviewRecord(key=key, phase=Phase.LIVE, probe=believed))
    began, used = time.monotonic(), time.process_time()
    pulse.start()
    # A measurement over a time, not a wait for anything.
    threading.Event().wait(INTERVAL_SECONDS)
    passed, used = time.monotonic() - began, time.process_time() - used
    pulse.stop(PATIENCE_SECONDS)
    results = probes.results()
    asked = results.get(ANSWERED, 0)
    if suspected or set(results) != {ANSWERED} or asked < PREVIEWS * ASKED_AT_LEAST:
        raise RuntimeError(f"of {PREVIEWS}: {results}; suspected: {len(suspected)}")
    part.set(f"pulse_{PREVIEWS}_{scheme}_asked_count", asked)
    # As if all had been asked in exactly this time.
    part.set(f"pulse_{PREVIEWS}_{scheme}_cpu_percent", 100 * used / passed * PREVIEWS / asked)


def _project(scheme: str, port: int) -> Project:
    return Project(
        name="bench",
        repository="bench/pulse",
        image_repository=None,
        image_tag="",
        host_pattern=f"pr-{{number}}.{ZONE}",
        helm=Helm(repository_url="https://git.example/charts.git", path="app", revision="main"),
        url_pattern=f"{scheme}://{{host}}:{port}/",
        probe=ProbePolicy(timeout=timedelta(seconds=10)),
    )


@contextmanager
def _ingress(certificate: Path | None) -> Iterator[int]:
    """A server in a process of its own, whose work is not counted, on the port that is given."""
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(there, certificate), daemon=True)
    process.start()
    try:
        if not here.poll(PATIENCE_SECONDS):
            raise RuntimeError("the server did not start")
        yield here.recv()
    finally:
        process.kill()
        process.join()


def _serve(told: Connection, certificate: Path | None) -> None:
    context: ssl.SSLContext | None = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(PAGE)}\r\n\r\n"
    answer = head.encode() + PAGE
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        told.send(listener.getsockname()[1])
        while True:
            connection, _ = listener.accept()
            connection.settimeout(PATIENCE_SECONDS)
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True)
            with connection:
                connection.recv(16 * 1024)
                connection.sendall(answer)
