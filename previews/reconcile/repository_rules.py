"""What repositories say of their own previews: read from the base branch, kept, and read anew now and then.

A file that cannot be understood neither widens nor removes anything: the last good one counts on, as long as this
process knows one, and who asks is told what is wrong.
"""

import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

import structlog

from previews.domain.forge_ports import Forge
from previews.domain.ports import Clock
from previews.domain.repository_rules import RULES_FILE, ReadYAML, Rules, RulesError, parse_rules
from previews.errors import StalledError, TransientError

RETRY_AFTER = timedelta(minutes=1)
"""When it could not be read, and is known from before."""
_LOCKS = 16

_log = structlog.get_logger("previews.rules")

Place: TypeAlias = tuple[str, str]
"""A repository and a branch of it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of one branch's rules."""

    rules: Rules | None
    """The last good ones; None if there were none since the start."""
    problem: str
    """What is wrong with the present file; empty if nothing is."""
    read_at: datetime
    due_at: datetime | None
    """When it is to be read anew in any case; None: soon."""
    failed_at: datetime | None = None
    """When it could last not be read."""
    is_outdated: bool = False
    """Whether somebody pushed to the branch since."""

    def says(self) -> tuple[Rules | None, str]:
        """All that previews depend on."""
        return self.rules, self.problem

    def warning(self) -> str:
        """For a preview that is there: what is wrong, and what it goes by until that is mended; empty if nothing is."""
        if not self.problem:
            return ""
        by = "what it said before that" if self.rules else "what the server allows"
        return f"{self.problem}; until it is mended, {by} counts, and no new previews come"


class RepositoryRules:
    """Safe from any thread."""

    def __init__(self, forge: Forge, read_yaml: ReadYAML, clock: Clock, kept: timedelta) -> None:
        """`kept`: how long what was read counts when nobody knows better."""
        self._forge = forge
        self._read_yaml = read_yaml
        self._clock = clock
        self._kept = kept
        self._known: dict[Place, Reading] = {}
        self._locks = [threading.Lock() for _ in range(_LOCKS)]
        """So that one file is not asked for by two at once."""

    def known(self, place: Place) -> Reading | None:
        """Without asking anybody."""
        return self._known.get(place)

    def is_due(self, place: Place) -> bool:
        known = self._known.get(place)
        now = self._clock.now()
        return known is None or known.due_at is None or not now < known.due_at <= now + self._kept

    def may_have_changed(self, place: Place, *, pushed: bool = False) -> None:
        """Something was merged: it is due. `pushed`: and nothing new may come by what was read before.

        After a push the forge is asked at once, even if it did not answer a moment ago.
        """
        with self._lock_of(place):
            known = self._known.get(place)
            if known is None:
                return
            known = replace(known, due_at=None)
            if pushed:
                known = replace(known, is_outdated=True, failed_at=None)
            self._known[place] = known

    def of(self, place: Place, *, within: timedelta | None = None) -> Reading:
        """What is known, or read now. `within`: not if it was read longer ago.

        Raises TransientError only if nothing is known of it yet.
        """
        with self._lock_of(place):
            known, now = self._known.get(place), self._clock.now()
            if known is not None and (within is None or _is_fresh(known, within, now)):
                return known
            reading = self._known[place] = self._read(place, known, now)
            return reading

    def _lock_of(self, place: Place) -> threading.Lock:
        return self._locks[hash(place) % _LOCKS]

    def _read(self, place: Place, known: Reading | None, now: datetime) -> Reading:
        repository, branch = place
        last_good = known.rules if known else None
        try:
            text = self._forge.read_file(repository, branch, RULES_FILE)
            rules = Rules() if text is None else parse_rules(self._read_yaml(text))
        except RulesError as error:
            problem = f"{RULES_FILE} of {branch}, {error}"
            return Reading(last_good, problem, now, now + self._kept)
        except StalledError as error:
            return Reading(last_good, error.message, now, now + self._kept)
        except TransientError as error:
            if known is None:
                raise
            _log.warning(
                "rules",
                repository=repository,
                branch=branch,
                reason=error.reason,
                error=error.message,
            )
            return replace(known, due_at=now + RETRY_AFTER, failed_at=now)
        return Reading(rules, "", now, now + self._kept)


def _is_fresh(known: Reading, within: timedelta, now: datetime) -> bool:
    if known.failed_at is not None and timedelta(0) <= now - known.failed_at < RETRY_AFTER:
        return True
    return not known.is_outdated and timedelta(0) <= now - known.read_at < within
