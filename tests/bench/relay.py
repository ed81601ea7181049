"""Stands between the forge and the manager, passes each delivery on as it is, and notes when the manager's 2xx came."""

import http.client
import json
import threading
import time
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SUCCESS = range(200, 300)
MANAGER_ANSWERS_WITHIN_SECONDS = 30
HOP_BY_HOP = {"connection", "host", "content-length", "transfer-encoding", "accept-encoding"}


@dataclass(frozen=True, slots=True)
class Passed:
    """One delivery of a pull request's event."""

    number: int
    action: str
    head_sha: str
    received_at: float
    accepted_at: float


class Relay:
    """One address for the forge's webhook."""

    def __init__(self, manager_port: int) -> None:
        self._manager_port = manager_port
        self._passed: list[Passed] = []
        self._refused: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def find(self, number: int, action: str, head_sha: str) -> Passed | None:
        """The first delivery that said so, if it was accepted."""
        wanted = (number, action, head_sha)
        found = (p for p in self._passed if (p.number, p.action, p.head_sha) == wanted)
        return next(found, None)

    def refusals(self) -> list[str]:
        """Answers of the manager that were not 2xx."""
        return list(self._refused)

    def pass_on(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """Hand a delivery to the manager, and return its answer's status."""
        received_at = time.monotonic()
        status = self._ask_manager(path, headers, body)
        accepted_at = time.monotonic()
        if status is None or status not in SUCCESS:
            self._refused.append(f"{status} to a delivery")
            return status or http.HTTPStatus.BAD_GATEWAY
        document = json.loads(body)
        if pull_request := document.get("pull_request"):
            self._passed.append(
                Passed(
                    number=pull_request["number"],
                    action=document["action"],
                    head_sha=pull_request["head"]["sha"],
                    received_at=received_at,
                    accepted_at=accepted_at,
                )
            )
        return status

    def _ask_manager(self, path: str, headers: dict[str, str], body: bytes) -> int | None:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._manager_port, timeout=MANAGER_ANSWERS_WITHIN_SECONDS
        )
        try:
            connection.request("POST", path, body, headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, relay: Relay, *rest: object) -> None:
        self._relay = relay
        super().__init__(*rest)  # type: ignore[arg-type] # what the server itself passes

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP
        }
        self.send_response(self._relay.pass_on(self.path, headers, body))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 its name there
        """Nothing: the manager logs what it refuses."""
