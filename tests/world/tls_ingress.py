"""A second ingress controller before a World's previews: Traefik on TLS, with a certificate that a test changes."""

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.cluster import RunningCluster
from tests.cluster.readiness import http
from tests.world.manager import LOOPBACK, free_port
from tests.world.waiting import wait_until

STOP_SECONDS = 10.0

Object = dict[str, Any]


class TLSIngress:
    """Used in a `with`. It reads the same Ingresses as the cluster's own."""

    def __init__(self, cluster: RunningCluster, directory: Path) -> None:
        self.port = free_port(LOOPBACK)
        self._ping = free_port(LOOPBACK)
        self._program = cluster.directory / "bin" / "traefik"
        self._certificates = directory / "certificates"
        self._configuration = directory / "traefik.json"
        self._log = directory / "traefik.log"
        known = json.loads((cluster.directory / "configuration" / "traefik.yaml").read_text())
        self._configured = self._on_tls(known)

    def serve(self, certificate: Path) -> None:
        """From now on every host is answered with this: a file that holds a key and its certificates."""
        both = {"certFile": str(certificate), "keyFile": str(certificate)}
        store = {"tls": {"stores": {"default": {"defaultCertificate": both}}}}
        new = self._certificates / "default.new"
        new.write_text(json.dumps(store))
        new.rename(self._certificates / "default.yaml")

    def __enter__(self) -> Self:
        self._certificates.mkdir()
        self._configuration.write_text(json.dumps(self._configured))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(self._program), f"--configfile={self._configuration}"],
                env={"PATH": os.defpath},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        is_ready = http(f"http://{LOOPBACK}:{self._ping}/ping")
        wait_until("the ingress on TLS answers", is_ready, explain=self._log.read_text)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(STOP_SECONDS)

    def _on_tls(self, known: Object) -> Object:
        entry_points = {
            "websecure": {"address": f"{LOOPBACK}:{self.port}", "http": {"tls": {}}},
            "ping": {"address": f"{LOOPBACK}:{self._ping}"},
        }
        files = {"directory": str(self._certificates), "watch": True}
        del known["metrics"]
        return {
            **known,
            "entryPoints": entry_points,
            "providers": {**known["providers"], "file": files},
        }
