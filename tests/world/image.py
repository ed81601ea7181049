"""The CI step: builds the sample application into a real OCI image and pushes it by the distribution API.

The same commit gives the same bytes: one layer with one program, no times, no names of this machine.
"""

import hashlib
import io
import json
import platform
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2

from tests.cluster.go_builds import ensure_go, go_environment
from tests.cluster.image import ARCHITECTURES
from tests.cluster.progress import Progress

USER = "65532:65532"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_NOT_FOUND = 404


@dataclass(frozen=True)
class Image:
    """An image of one layer, in memory."""

    config: bytes = field(repr=False)
    layer: bytes = field(repr=False)

    @cached_property
    def manifest(self) -> bytes:
        config = _descriptor("application/vnd.oci.image.config.v1+json", self.config)
        layer = _descriptor("application/vnd.oci.image.layer.v1.tar", self.layer)
        return json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": config,
                "layers": [layer],
            }
        ).encode()


def build_program(source: Path, head_sha: str, program: Path) -> None:
    """Compile what is in `source` so that it knows its commit."""
    compiled = subprocess.run(
        [
            *(_go(), "build", "-trimpath", "-buildvcs=false"),
            *(f"-ldflags=-s -w -X main.headSHA={head_sha}", "-o", str(program), "."),
        ],
        cwd=source,
        env=go_environment(cgo=False),
        capture_output=True,
        text=True,
        check=False,
    )
    if compiled.returncode:
        raise RuntimeError(f"the sample application does not compile: {compiled.stderr}")


def build_image(source: Path, head_sha: str) -> Image:
    """The program in `source` as an image."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "shop")
        build_program(source, head_sha, program)
        layer = _layer("shop", program.read_bytes())
    config = {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {
            "Entrypoint": ["/shop"],
            "User": USER,
            "ExposedPorts": {"8080/tcp": {}},
            "Labels": {"org.opencontainers.image.revision": head_sha},
        },
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    return Image(json.dumps(config, sort_keys=True).encode(), layer)


class ImageRepository:
    """One repository of a registry, spoken to without TLS on loopback."""

    def __init__(self, registry: str, name: str, login: tuple[str, str] | None = None) -> None:
        """`login` is user and password of whoever pushes, for a registry that wants to know."""
        self.reference = f"{registry}/{name}"
        self._client = httpx2.Client(
            base_url=f"http://{registry}/v2/{name}/", auth=login, trust_env=False, timeout=30
        )

    def close(self) -> None:
        self._client.close()

    def push(self, image: Image, tag: str) -> str:
        """Upload what is not there yet, and name it. Returns the digest."""
        for blob in (image.config, image.layer):
            self._ensure_blob(blob)
        return self._put_manifest(image.manifest, tag)

    def has(self, tag: str) -> bool:
        return self._client.head(f"manifests/{tag}", headers={"accept": MANIFEST_TYPE}).is_success

    def retag(self, tag: str, new_tag: str) -> str:
        """Give an image a second name, as a CI does that found nothing to build."""
        found = self._client.get(f"manifests/{tag}", headers={"accept": MANIFEST_TYPE})
        found.raise_for_status()
        return self._put_manifest(found.content, new_tag)

    def remove_all(self) -> None:
        """Take every tag back."""
        listed = self._client.get("tags/list")
        if listed.status_code == _NOT_FOUND:
            return
        for tag in listed.raise_for_status().json()["tags"] or []:
            found = self._client.head(f"manifests/{tag}", headers={"accept": MANIFEST_TYPE})
            # Two tags of one image go together.
            if found.status_code != _NOT_FOUND:
                digest = found.raise_for_status().headers["docker-content-digest"]
                self._client.delete(f"manifests/{digest}").raise_for_status()

    def _ensure_blob(self, blob: bytes) -> None:
        digest = _digest(blob)
        if self._client.head(f"blobs/{digest}").is_success:
            return
        begun = self._client.post("blobs/uploads/").raise_for_status()
        address = httpx2.URL(begun.headers["location"]).copy_merge_params({"digest": digest})
        kind = {"content-type": "application/octet-stream"}
        self._client.put(address, content=blob, headers=kind).raise_for_status()

    def _put_manifest(self, manifest: bytes, tag: str) -> str:
        kind = {"content-type": MANIFEST_TYPE}
        put = self._client.put(f"manifests/{tag}", content=manifest, headers=kind)
        digest: str = put.raise_for_status().headers["docker-content-digest"]
        return digest


def _go() -> str:
    return ensure_go(Progress())


def _layer(name: str, program: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(program), 0o755
        archive.addfile(entry, io.BytesIO(program))
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}
