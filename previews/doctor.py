"""Examines an installation without changing it: every check that there is, side by side.

A check that crashes or hangs is UNKNOWN, and the others go on. None of them needs a manager that runs.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from previews import doctor_app, doctor_cluster, doctor_egress, doctor_forge, doctor_outside
from previews.doctor_case import Case, unknown
from previews.domain.findings import Finding
from previews.errors import PreviewsError

SECONDS_MAX = 15.0
SLOW_SECONDS = 3.0
"""After which it is said what is still waited for."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at. Its findings bear its name, or begin with it."""

    name: str
    ask: Callable[[Case], list[Finding]]
    seconds_max: float = SECONDS_MAX


CONFIGURATION = "configuration"
"""Looked at first: without it there is nothing else to look at."""
CHECKS = (
    Check("data directory", doctor_outside.check_data_directory),
    Check("webhooks", doctor_forge.check_webhooks),
    Check("forge", doctor_forge.check_forge),
    Check("github app", doctor_app.check_app),
    Check("gitops", doctor_outside.check_gitops, 30.0),
    Check("registry", doctor_outside.check_registries),
    Check("database", doctor_outside.check_databases),
    Check("egress", doctor_egress.check_egress),
    Check("cluster", doctor_cluster.check_cluster),
    Check("rights", doctor_cluster.check_rights),
    Check("argocd", doctor_cluster.check_argocd),
    Check("admission", doctor_cluster.check_admission),
    Check("secrets", doctor_outside.check_secrets),
    Check("dns", doctor_outside.check_dns, 75.0),
    Check("tls", doctor_outside.check_tls),
    Check("wildcard ingress", doctor_outside.check_wildcard),
    Check("ingress metrics", doctor_outside.check_ingress_metrics),
    Check("clock", doctor_outside.check_clock),
    Check("isolation", doctor_cluster.check_isolation, 240.0),
)
"""In the order in which they are shown."""


def examine(
    case: Case, checks: Sequence[Check] = CHECKS, *, say: Callable[[str], None] = lambda _: None
) -> Iterator[Finding]:
    """Every finding, in the order of the checks, each as soon as those before it are there.

    `say` is told what is still waited for, now and then.
    """
    answers: queue.Queue[tuple[str, list[Finding]]] = queue.Queue()
    began = time.monotonic()
    for check in checks:
        threading.Thread(
            # A thread that hangs in a library is left behind, and ends with the process.
            target=_ask,
            args=(check, case, answers),
            name=f"doctor-{check.name}",
            daemon=True,
        ).start()
    found: dict[str, list[Finding]] = {}
    say_at = began + SLOW_SECONDS
    for check in checks:
        while check.name not in found:
            now = time.monotonic()
            until = began + check.seconds_max
            if now >= until:
                found[check.name] = [_too_slow(check)]
                break
            try:
                name, answer = answers.get(timeout=max(0.0, min(until, say_at) - now))
                found.setdefault(name, answer)
            except queue.Empty:
                if time.monotonic() >= say_at:
                    waiting = [c.name for c in checks if c.name not in found]
                    say(f"still asking: {', '.join(waiting)}")
                    say_at = time.monotonic() + SLOW_SECONDS
        yield from found[check.name]


def _ask(check: Check, case: Case, answers: "queue.Queue[tuple[str, list[Finding]]]") -> None:
    try:
        found = check.ask(case)
    except PreviewsError as error:
        remedy = f"docs/operations.md says what to do about {error.reason}"
        found = [unknown(check.name, f"could not be found out: {error.message}", remedy)]
    except Exception as error:  # noqa: BLE001 - one check with a bug must not hide what the others found
        said = f"a bug in previews: {type(error).__name__}: {error}"
        found = [unknown(check.name, said, "please report it, with this line")]
    answers.put((check.name, found))


def _too_slow(check: Check) -> Finding:
    said = f"did not come to an end within {check.seconds_max:g} s"
    remedy = "see whether what it asks is reached from here: an answer that is dropped on the way takes for ever"
    return unknown(check.name, said, remedy)
