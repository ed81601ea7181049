"""An image with a shell and the usual tools, from Debian's busybox-static: what pods try the network with."""

import io
import json
import platform
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from tests.cluster.debian_packages import RUN_FILES
from tests.cluster.image import ARCHITECTURES
from tests.world.image import Image, ImageRepository

PROGRAM = Path(RUN_FILES["busybox-static"])
TOOLS = ("sh", "cat", "grep", "nc", "nslookup", "sleep", "wget")
TAG = "static"


@contextmanager
def busybox_in(registry: str, name: str) -> Iterator[str]:
    """The image's reference, for as long as it is there."""
    repository = ImageRepository(registry, f"{name}/busybox")
    try:
        repository.push(busybox_image(), TAG)
        yield f"{repository.reference}:{TAG}"
    finally:
        repository.remove_all()
        repository.close()


def busybox_image() -> Image:
    layer = _layer()
    config = {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {"Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]},
    }
    return Image(json.dumps(config, sort_keys=True).encode(), layer)


def _layer() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        program = tarfile.TarInfo("bin/busybox")
        program.size, program.mode = PROGRAM.stat().st_size, 0o755
        with PROGRAM.open("rb") as content:
            archive.addfile(program, content)
        for tool in TOOLS:
            link = tarfile.TarInfo(f"bin/{tool}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return buffer.getvalue()
