"""Git's own smart HTTP (`git http-backend`) behind one user's password, with the faults that a server can have."""

import base64
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.git_remote import ENVIRONMENT

USER = "robot"
PASSWORD = "s3cr3t-\"'$(id)"
LET_GO_SECONDS = 30


@dataclass
class GitHTTPServer:
    """A served folder of bare repositories, and what is wrong with the server."""

    root: Path
    requests: list[str] = field(default_factory=list)
    url: str = ""
    answer_with: int | None = None
    """A status to answer everything with, instead of git's."""
    redirect_to: str | None = None
    """Send everybody to this server."""
    lose_answer_to: str | None = None
    """Let git do what is asked at this path, then end the connection."""
    hold: threading.Event | None = None
    """Answer nothing until it is set."""
    reached: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    def __init__(self, served: GitHTTPServer, *args: object) -> None:
        self.served = served
        super().__init__(*args)  # type: ignore[arg-type] # what the server itself passes

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def answer(self) -> None:
        body = self.read_body()
        self.served.requests.append(f"{self.command} {self.path}")
        self.served.reached.set()
        if self.served.hold is not None:
            self.served.hold.wait(LET_GO_SECONDS)
        elif self.served.answer_with is not None:
            self.send_error(self.served.answer_with)
        elif self.served.redirect_to is not None:
            self.send_response(302)
            self.send_header("Location", self.served.redirect_to + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif not self.is_authorised():
            self.send_response(401, f"no access with {self.headers.get('Authorization')}")
            self.send_header("WWW-Authenticate", 'Basic realm="gitops"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.answer_from_git(body)

    def is_authorised(self) -> bool:
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {expected}"

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer_from_git(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        environment = {
            **ENVIRONMENT,
            "GIT_PROJECT_ROOT": str(self.served.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": USER,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        backend = ["git", "http-backend"]
        ended = subprocess.run(
            backend, env=environment, input=body, capture_output=True, check=True
        )
        if path == self.served.lose_answer_to:
            return
        head, _, content = ended.stdout.partition(b"\r\n\r\n")
        lines = (line.partition(": ") for line in head.decode().splitlines())
        headers = {name: value for name, _, value in lines}
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 its name there
        pass


@contextmanager
def serve_git(bare: Path) -> Iterator[GitHTTPServer]:
    """Serve one bare repository for as long as the block runs."""
    served = GitHTTPServer(bare.parent)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, served))
    served.url = f"http://127.0.0.1:{server.server_port}/{bare.name}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
