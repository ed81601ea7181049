"""The program that puts a value into a secret store, or takes it out: a site's own, chosen in the configuration.

The value reaches it through its standard input, never through its arguments, which every user of the machine can read.
"""

import os
import signal
import subprocess
from collections.abc import Iterable, Sequence

from previews.adapters.secrets.concealment import words
from previews.errors import StalledError, TransientError

KEY = "{key}"


def check_command(argv: Sequence[str]) -> None:
    """Raises ValueError, in words for the person who wrote the configuration."""
    if not argv or not argv[0]:
        raise ValueError("a command has at least a program")
    if not any(KEY in argument for argument in argv[1:]):
        raise ValueError(f"one of the arguments must contain {KEY}: the entry of the store")


def run(
    argv: Sequence[str], *, key: str, stream: str, secrets: Iterable[str], timeout_seconds: float
) -> None:
    """Run it for the entry `key`. Raises TransientError when it fails, with its words, but for what is secret."""
    command = [argv[0], *(argument.replace(KEY, key) for argument in argv[1:])]
    what = f"{argv[0]}, which keeps the secret store, failed for {key}"
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise StalledError(
            "SecretStoreFailed",
            f"{argv[0]}, which keeps the secret store, cannot be started: {error.strerror}",
        ) from error
    with process:
        try:
            said, _ = process.communicate(stream.encode(), timeout_seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            # Without its cause: that one carries what the program has said so far.
            raise TransientError(
                "SecretStoreFailed", f"{what}: it took longer than {timeout_seconds:g} s"
            ) from None
        except BaseException:
            _end(process)
            raise
    if process.returncode:
        told = words(said.decode(errors="replace"), secrets) or "it said nothing"
        raise TransientError(
            "SecretStoreFailed", f"{what} with exit code {process.returncode}: {told}"
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """With whatever it has started: that holds the same pipes, and their end would be waited for."""
    os.killpg(process.pid, signal.SIGKILL)
