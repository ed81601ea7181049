"""A server whose disk is full: a removal waits for room, and whoever is there goes on."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from previews.domain.database import DatabaseLimits
from previews.domain.preview import PreviewKey
from previews.errors import TransientError
from tests.postgres import VERSIONS, Instance, instance_on, postgres_server
from tests.postgres.instance import NOON, credential
from tests.postgres.server import PostgresProcess

LIMITS = DatabaseLimits()
FIRST, SECOND, THIRD = (PreviewKey("shop", number) for number in (1, 2, 3))
DISK_MEGABYTES = 96
ROOM = 2 * 2**20
"""Bytes. No database of PostgreSQL's is as small."""

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can give a server a small disk"
)


@contextmanager
def on_a_small_disk(process: PostgresProcess) -> Iterator[Path]:
    """Its databases lie on a disk of their own. The log of changes does not: without room for that a server ends."""
    [[directory]] = process.administer("SHOW data_directory")
    databases = Path(directory, "base")
    before = databases.with_name("base-before")
    owner = databases.stat()
    process.stop()
    databases.rename(before)
    databases.mkdir(mode=0o700)
    options = f"size={DISK_MEGABYTES}m,mode=0700,uid={owner.st_uid},gid={owner.st_gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", databases], check=True)
    try:
        subprocess.run(["cp", "-a", f"{before}/.", databases], check=True)
        process.start()
        yield databases
        process.stop()
    finally:
        subprocess.run(["umount", "--lazy", databases], check=True)


@contextmanager
def crowded(version: int) -> Iterator[tuple[Instance, Path]]:
    """A server with the databases of two previews and no room for another, and the file that takes the room."""
    with (
        postgres_server(version) as process,
        on_a_small_disk(process) as disk,
        instance_on(process) as instance,
    ):
        instance.make_template("golden")
        with instance.adapter() as adapter:
            for key in (FIRST, SECOND):
                adapter.create(key, "golden", LIMITS, incarnation="first", at=NOON)
        # The first session in a database writes a file as well.
        assert rows(instance, SECOND) == (100,)
        process.administer("CHECKPOINT")
        filler = disk / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(disk).free - ROOM))
        try:
            yield instance, filler
        finally:
            filler.unlink(missing_ok=True)


def rows(instance: Instance, key: PreviewKey) -> object:
    """What an application finds in its database."""
    given = credential()
    with instance.adapter() as adapter:
        adapter.set_credential(key, given)
    with instance.connect(key, given) as application:
        return application.execute("SELECT count(*) FROM item").fetchone()


@needs_root
@pytest.mark.fault(48)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_removal_that_cannot_be_written_is_tried_again_and_the_others_go_on(version: int) -> None:
    """A server takes a small copy into memory without looking for room: the next removal has to write it out."""
    with crowded(version) as (instance, filler), instance.adapter() as adapter:
        adapter.create(THIRD, "golden", LIMITS, incarnation="first", at=NOON)
        with pytest.raises(TransientError, match="checkpoint") as failed:
            adapter.drop(FIRST)
        assert failed.value.reason == "DatabaseServerFull"
        assert rows(instance, SECOND) == (100,)

        filler.unlink()
        adapter.drop(FIRST)
        assert {found.key for found in adapter.list_databases()} == {SECOND, THIRD}
        assert rows(instance, THIRD) == (100,)
