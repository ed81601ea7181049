"""Who works the queues."""

import threading
from dataclasses import dataclass

from previews.domain.preview import PreviewKey
from previews.errors import PreviewsError
from previews.reconcile.assembly.foundation import Foundation
from previews.reconcile.assembly.pull_requests import Surface
from previews.reconcile.published import PullRequestKey
from previews.reconcile.reconciler import Reconciler
from previews.reconcile.repository_rules import Place
from previews.reconcile.workers import Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Crews:
    """One for each queue."""

    previews: Workers[PreviewKey]
    pull_requests: Workers[PullRequestKey]
    conversations: Workers[PullRequestKey]
    rules: Workers[Place]


def join_crews(
    base: Foundation, reconciler: Reconciler, surface: Surface, quiet: threading.Event
) -> Crews:
    """Each with what it does with a key, and where it shows an error."""
    queues, options = base.queues, base.options
    return Crews(
        previews=Workers(
            "reconcile",
            queues.previews,
            reconciler.reconcile,
            reconciler.show_error,
            options.reconcile_threads,
            quiet=quiet,
        ),
        pull_requests=Workers(
            "publish",
            queues.pull_requests,
            surface.publisher.publish,
            _ignore,
            options.publish_threads,
            quiet=quiet,
        ),
        conversations=Workers(
            "converse", queues.conversations, surface.conversation.read, _ignore, 1, quiet=quiet
        ),
        rules=Workers("rules", queues.rules, surface.policies.look_at, _ignore, 1, quiet=quiet),
    )


def _ignore(_key: object, _error: PreviewsError) -> None:
    """Nowhere to show it: the forge is where it would be shown. The log has it."""
