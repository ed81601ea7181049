"""Waits until previews are gone, and shows how far they are."""

import time
from collections.abc import Callable, Iterable

from previews.cli.text import plain, receipt
from previews.client import Client
from previews.domain.preview import PreviewKey
from previews.errors import StalledError, TransientError
from previews.web.views import PreviewView

LOOK_AGAIN_SECONDS = 1.0


def wait_until_gone(
    client: Client,
    keys: Iterable[PreviewKey],
    *,
    timeout_seconds: float,
    say: Callable[[str], None],
) -> None:
    """Look again and again until nothing is left of any of them. Raises StalledError for those that take too long."""
    end = time.monotonic() + timeout_seconds
    waiting: dict[PreviewKey, str] = dict.fromkeys(keys, "")
    while waiting:
        for key, view in _look(client, waiting, say).items():
            if view is None or view.is_gone:
                del waiting[key]
                say(_end(key, view))
            elif waiting[key] != _progress(view):
                waiting[key] = _progress(view)
                say(f"{plain(str(key))}: {waiting[key]}")
        if waiting and time.monotonic() >= end:
            stuck = "; ".join(f"{key}: {progress}" for key, progress in waiting.items())
            raise StalledError("NotGoneYet", f"not gone after {timeout_seconds:g} s: {stuck}")
        if waiting:
            time.sleep(LOOK_AGAIN_SECONDS)


def _look(
    client: Client, keys: Iterable[PreviewKey], say: Callable[[str], None]
) -> dict[PreviewKey, PreviewView | None]:
    """How they are; None of one that the manager has forgotten. Of nothing, while it does not answer."""
    try:
        views = {PreviewKey(view.project, view.number): view for view in client.list_previews()}
    except TransientError as error:
        say(f"{plain(error.message)}; asking again")
        return {}
    return {key: views.get(key) for key in keys}


def _progress(view: PreviewView) -> str:
    return plain(" ".join(filter(None, (view.phase, view.reason, view.message))))


def _end(key: PreviewKey, view: PreviewView | None) -> str:
    proof = f": {receipt(view.receipt)}" if view and view.receipt else ""
    return f"{plain(str(key))} is gone{proof}"
