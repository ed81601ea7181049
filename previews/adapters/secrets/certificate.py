"""The certificate to seal with: from a file, or from the controller itself, and kept for a while."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

from previews.adapters.kubernetes_api import KubernetesAPI, Resource
from previews.adapters.secrets.sealing import SealingKey, read_certificate
from previews.errors import PreviewsError, StalledError, TransientError

PAUSE = timedelta(seconds=10)
"""Before it is asked for again when it could not be had: every preview asks, and each would wait."""


def from_file(file: Path) -> Callable[[], bytes]:
    """Reads it anew each time: a rotation replaces the file."""

    def read() -> bytes:
        try:
            return file.read_bytes()
        except OSError as error:
            raise TransientError(
                "SealingCertificate",
                f"the sealing certificate {file} cannot be read: {error.strerror}",
            ) from error

    return read


def from_controller(
    api: KubernetesAPI, *, namespace: str, service: str, port: str
) -> Callable[[], bytes]:
    """Asks the controller through the API server, as kubeseal does. `port` is the name or number of its Service's."""
    resource = Resource(
        "services/proxy",
        f"/api/v1/namespaces/{namespace}/services/http:{service}:{port}/proxy/v1",
        f" in namespace {namespace}",
    )

    def read() -> bytes:
        try:
            return api.fetch_text(resource, "cert.pem")
        except TransientError as error:
            raise TransientError(
                "SealingCertificate",
                f"the sealed-secrets controller {namespace}/{service} gives no certificate: {error.message}",
            ) from error

    return read


class SealingCertificate:
    """The newest certificate that is known. Safe from any thread."""

    def __init__(
        self, read: Callable[[], bytes], *, age_max: timedelta, now: Callable[[], datetime]
    ) -> None:
        self._read = read
        self._age_max = age_max
        self._now = now
        self._lock = Lock()
        self._key: SealingKey | None = None
        self._read_at: datetime | None = None
        self._failure: PreviewsError | None = None

    def current(self) -> SealingKey:
        """No older than `age_max`. Raises TransientError without one, and StalledError for one that is of no use."""
        with self._lock:
            now = self._now()
            age = None if self._read_at is None else now - self._read_at
            if age is not None and age < timedelta(0):
                # The clock was set back.
                age = None
            if self._failure is not None and age is not None and age < PAUSE:
                raise self._failure.__class__(self._failure.reason, self._failure.message)
            if self._key is None or self._failure or age is None or age >= self._age_max:
                self._renew(now)
            assert self._key is not None  # noqa: S101 `_renew` raises where there is none
            return self._key

    def last_known(self) -> SealingKey | None:
        """The same where it can be had, else the one before; None if there never was one."""
        try:
            return self.current()
        except PreviewsError:
            return self._key

    def _renew(self, now: datetime) -> None:
        self._read_at = now
        try:
            key = read_certificate(self._read(), now)
        except ValueError as error:
            self._failure = StalledError(
                "SealingCertificate", f"the sealing certificate is of no use: {error}; renew it"
            )
            raise self._failure from error
        except PreviewsError as error:
            self._failure = error
            raise
        self._key, self._failure = key, None
