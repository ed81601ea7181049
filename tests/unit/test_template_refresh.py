"""When golden templates are built anew, and what is shown of it."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from previews.errors import ActionRefusedError, StalledError
from previews.reconcile.template_refresh import RETRY, Source, TemplateRefresh
from tests.fakes.clock import ManualClock
from tests.fakes.databases import FakeDatabaseServer

DAY = timedelta(days=1)


class Site:
    """Two servers; a build puts the template there with the time of the clock."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.servers = {"main": FakeDatabaseServer(), "other": FakeDatabaseServer()}
        self.built: list[str] = []
        self.during: Callable[[], None] = lambda: None
        self.stop = threading.Event()
        self.refresh = TemplateRefresh(
            [
                Source("main", "daily", DAY),
                Source("main", "by_hand"),
                Source("other", "weekly", 7 * DAY),
            ],
            self.servers,
            rebuild=self._rebuild,
            clock=self.clock,
        )

    def _rebuild(self, server: str, template: str) -> None:
        self.during()
        self.servers[server].put_template(template, self.clock.now())
        self.built.append(template)

    def look(self) -> list[str]:
        """What is built at a look now."""
        before = len(self.built)
        self.refresh.build_asked(self.stop)
        self.refresh.build_old(self.stop)
        return self.built[before:]

    def shown(self) -> dict[str, str]:
        return {each.name: each.problem for each in self.refresh.shown()}

    def fail(self) -> None:
        raise StalledError("TemplateBuildFailed", "daily: could not run seeds.sql")


@pytest.fixture
def site() -> Site:
    built = Site()
    assert built.look() == ["daily", "weekly"]
    return built


def test_what_was_never_built_is_built_if_it_is_kept_fresh(site: Site) -> None:
    assert site.built == ["daily", "weekly"]


def test_a_template_is_built_again_when_it_is_old_by_what_its_server_says(site: Site) -> None:
    site.clock.move(DAY / 2)
    assert site.look() == []
    site.servers["main"].put_template("daily", site.clock.now())
    site.clock.move(DAY / 2)
    assert site.look() == []
    site.clock.move(DAY / 2)
    assert site.look() == ["daily"]


def test_somebody_may_ask_for_any_that_can_be_built(site: Site) -> None:
    site.refresh.ask("main", "by_hand", actor="monalisa")
    site.refresh.ask("main", "by_hand", actor="octocat")
    assert site.look() == ["by_hand"]
    assert site.look() == []


def test_what_cannot_be_built_here_is_refused(site: Site) -> None:
    with pytest.raises(ActionRefusedError, match="no template absent on a server main"):
        site.refresh.ask("main", "absent", actor="monalisa")


def test_a_failure_is_shown_and_tried_again_after_a_while(site: Site) -> None:
    site.clock.move(DAY)
    site.during = site.fail
    assert site.look() == []
    assert site.shown()["daily"] == "daily: could not run seeds.sql"
    site.during = lambda: None
    assert site.look() == []
    site.clock.move(RETRY)
    assert site.look() == ["daily"]
    assert site.shown()["daily"] == ""


def test_a_failure_by_a_clock_that_was_ahead_keeps_nobody_waiting(site: Site) -> None:
    site.clock.move(DAY)
    site.during = site.fail
    assert site.look() == []
    site.during = lambda: None
    site.clock.move(-2 * RETRY)
    site.servers["main"].put_template("daily", site.clock.now() - DAY)
    assert site.look() == ["daily"]


def test_a_failure_is_over_when_somebody_else_has_built_it(site: Site) -> None:
    site.clock.move(DAY)
    site.during = site.fail
    site.look()
    site.clock.move(timedelta(minutes=1))
    site.servers["main"].put_template("daily", site.clock.now())
    assert site.shown()["daily"] == ""


def test_whoever_asks_need_not_wait_for_that(site: Site) -> None:
    site.clock.move(DAY)
    site.during = site.fail
    site.look()
    site.during = lambda: None
    site.refresh.ask("main", "daily", actor="monalisa")
    assert site.look() == ["daily"]


def test_a_server_that_is_down_hides_and_holds_up_no_other(site: Site) -> None:
    site.servers["main"].fail()
    site.clock.move(8 * DAY)
    assert site.look() == ["weekly"]
    assert site.shown()["weekly"] == ""
    assert "DatabaseServerUnreachable" in site.shown()["daily"]


def test_what_is_being_built_is_shown_so(site: Site) -> None:
    seen: list[str] = []
    site.during = lambda: seen.extend(e.name for e in site.refresh.shown() if e.is_building)
    site.refresh.ask("main", "daily", actor="monalisa")
    assert site.look() == ["daily"]
    assert seen == ["daily"]


def test_nothing_is_begun_when_the_manager_stops(site: Site) -> None:
    site.refresh.ask("main", "by_hand", actor="monalisa")
    site.clock.move(30 * DAY)
    site.stop.set()
    assert site.look() == []
    site.refresh.run(site.stop)
