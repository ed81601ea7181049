"""Asks a server whether it is ready, on the endpoint that it has for that."""

import json
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.cluster.layout import API_URL, LOOPBACK, NODE_NAME

ASK_SECONDS = 5.0

Check = Callable[[], bool]


def fetch(
    url: str,
    *,
    token: str | None = None,
    ca_file: Path | None = None,
    method: str = "GET",
    body: object = None,
    authorization: str | None = None,
    accept: str = "application/json",
) -> bytes:
    """One request on loopback. Without a ca_file a server's own certificate is accepted."""
    context = None
    if url.startswith("https:"):
        context = ssl.create_default_context(cafile=ca_file)
        if ca_file is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    request = urllib.request.Request(url, method=method, headers={"Accept": accept})
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    if authorization or token:
        request.add_header("Authorization", authorization or f"Bearer {token}")
    # No proxy that the environment names may stand between this machine and itself.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if context:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    with urllib.request.build_opener(*handlers).open(request, timeout=ASK_SECONDS) as response:
        content: bytes = response.read()
    return content


def http(url: str, *, token: str | None = None, ca_file: Path | None = None) -> Check:
    def check() -> bool:
        try:
            fetch(url, token=token, ca_file=ca_file)
        except OSError:  # URLError and HTTPError are OSErrors
            return False
        return True

    return check


def redis(port: int) -> Check:
    def check() -> bool:
        try:
            with socket.create_connection((LOOPBACK, port), timeout=ASK_SECONDS) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    return check


def containerd(address: Path) -> Check:
    def check() -> bool:
        asked = subprocess.run(
            ["ctr", "--address", str(address), "plugins", "ls", "-q", "id==cri"],
            capture_output=True,
            text=True,
            check=False,
        )
        return asked.returncode == 0

    return check


def node(token: str, ca_file: Path) -> Check:
    """The kubelet is ready when its node is: pods can be given to it."""

    def check() -> bool:
        try:
            content = fetch(f"{API_URL}/api/v1/nodes/{NODE_NAME}", token=token, ca_file=ca_file)
        except OSError:
            return False
        conditions = json.loads(content)["status"].get("conditions", [])
        return any(it["type"] == "Ready" and it["status"] == "True" for it in conditions)

    return check


def all_of(*checks: Check) -> Check:
    return lambda: all(check() for check in checks)
