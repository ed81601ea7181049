"""Whom a preview must ask before it comes, goes, or is changed for no reason of its own."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from previews.domain.caps import Holder, Waiting
from previews.domain.lifetime import is_pinned, last_use
from previews.domain.observation import Observation
from previews.domain.preview import Mode, PreviewKey, PullRequest, Stage
from previews.domain.record import PreviewRecord
from previews.domain.removal import Departure, is_there
from previews.reconcile.admission import Admission
from previews.reconcile.brake import Brake
from previews.reconcile.lifetimes import Outlook
from previews.reconcile.rollout import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """All of them."""

    admission: Admission
    brake: Brake
    rollout: Rollout

    def adopt(self, keys: Collection[PreviewKey], now: datetime) -> None:
        """Previews that are there and that nothing is known of: they have their place, and may not all go at once."""
        self.brake.adopts(keys)
        for key in keys:
            self.admission.holds(
                Holder(key=key, author="", is_awake=True, is_pinned=True, last_use=now)
            )

    def ask(
        self,
        record: PreviewRecord,
        pull_request: PullRequest,
        leaving: Departure | None,
        outlook: Outlook,
        seen: Observation,
    ) -> Observation:
        """Ask whom a preview must ask before it comes or goes."""
        key, admission, brake = record.key, self.admission, self.brake
        there, now = is_there(seen), outlook.now
        if leaving is not None:
            begun = seen.manifests is not None and seen.manifests.stage is not Stage.WHOLE
            if there:
                admission.no_longer_asks(key)
            else:
                admission.leaves(key)
            if begun or not there or outlook.was_asked_for:
                brake.goes_by_hand(key)
                return seen
            return replace(seen, is_held=brake.holds(key, leaving.cause))
        asking = Waiting(
            key=key,
            author=pull_request.author,
            since=record.queued_since or now,
            is_there=there,
        )
        if not there:
            brake.goes_by_hand(key)
            return replace(seen, place=admission.ask(asking))
        if outlook.wishes.eviction is not None:
            admission.comes_back(key)
        brake.stays(key, outlook.expiry.at if outlook.expiry else None)
        sleeps = seen.manifests is not None and seen.manifests.mode is Mode.ASLEEP
        if sleeps and seen.sleep is None:
            return replace(seen, place=admission.ask(asking))
        admission.holds(
            Holder(
                key=key,
                author=pull_request.author,
                is_awake=not sleeps,
                is_pinned=is_pinned(outlook.wishes, now),
                last_use=last_use(outlook.facts, outlook.wishes),
            )
        )
        return seen
