"""The part of the configuration that is about how long previews live, and when they sleep."""

from datetime import time, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from previews.domain.lifetime import Anchor, LifetimePolicy, SleepHours
from previews.setting_types import DAYS, Delay, Section, Span, time_of_day, time_zone


class SleepHoursSettings(Section):
    """Hours of the week in which previews sleep unless somebody uses them."""

    days: Annotated[
        list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]], Field(min_length=1)
    ]
    """On which they begin."""
    start: Annotated[time, BeforeValidator(time_of_day)]
    end: Annotated[time, BeforeValidator(time_of_day)]
    """Not later than `start`: on the next day."""
    time_zone: Annotated[str, AfterValidator(time_zone)]

    def hours(self) -> SleepHours:
        days = frozenset(DAYS.index(day) for day in self.days)
        return SleepHours(days, self.start, self.end, self.time_zone)


class LifetimeSettings(Section):
    """How long a preview lives, and when it sleeps."""

    ttl: Span | None = timedelta(days=7)
    """After this long it goes although its pull request is open; null: never."""
    ttl_max: Span = timedelta(days=30)
    """What a label may ask for, and how far ahead an extension or a pin may reach."""
    anchor: Anchor = Anchor.LAST_PUSH
    """What `ttl` is counted from."""
    warn_before: Delay = timedelta(hours=6)
    """How long before the end the comment warns of it."""
    sleep_after: Span | None = None
    """Without a request for this long it falls asleep; null: never. Needs `ingress.metrics_urls`."""
    sleep_hours: list[SleepHoursSettings] = []

    def policy(self) -> LifetimePolicy:
        return LifetimePolicy(
            ttl=self.ttl,
            ttl_max=self.ttl_max,
            anchor=self.anchor,
            warn_before=self.warn_before,
            sleep_after=self.sleep_after,
            sleep_hours=tuple(each.hours() for each in self.sleep_hours),
        )
