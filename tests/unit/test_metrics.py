"""What Prometheus reads of the manager, and who may read it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from previews.domain.allowance import Allowance
from previews.domain.brake import BrakeState
from previews.domain.certificates import EXPIRY, SERVED, Inspection
from previews.domain.findings import Finding, Level
from previews.domain.inventory import Found, Kind, OwnedObject, Sweep, Verdict
from previews.domain.preview import Phase, PreviewKey
from previews.domain.probing import RESULTS
from previews.domain.record import PreviewRecord, Removal
from previews.errors import TransientError
from previews.reconcile.effects import Effect
from previews.web.metrics import ANSWERS
from tests.fakes.api import ALLOWED, FakeAPI


class Scraped(FakeAPI):
    """Asked as Prometheus does it."""

    def scrape(self) -> dict[str, dict[tuple[str, ...], float]]:
        """By the name of a sample, its values by the values of its labels, in the order of their names."""
        answer = TestClient(self.web).get("/metrics", headers=ALLOWED)
        assert answer.status_code == 200, answer.text
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                found.setdefault(sample.name, {})[_values(sample.labels)] = sample.value
        return found

    def remember(self, number: int, phase: Phase, *, project: str = "shop") -> None:
        self.store.save(PreviewRecord(key=PreviewKey(project, number), phase=phase))


def _values(labels: dict[str, str]) -> tuple[str, ...]:
    return tuple(value for _, value in sorted(labels.items()))


@pytest.fixture
def api() -> Scraped:
    return Scraped()


def test_previews_are_counted_by_project_and_phase_also_where_there_are_none(api: Scraped) -> None:
    api.remember(1, Phase.LIVE)
    api.remember(2, Phase.LIVE)
    api.remember(3, Phase.ASLEEP)
    counts = api.scrape()["previews_by_phase"]
    assert {phase: counts[phase, "shop"] for phase in Phase} == {
        **dict.fromkeys(Phase, 0),
        Phase.LIVE: 2,
        Phase.ASLEEP: 1,
    }


def test_projects_that_are_no_longer_configured_share_one_label(api: Scraped) -> None:
    for number in range(1, 20):
        api.remember(1, Phase.BLOCKED, project=f"former-{number}")
    counts = api.scrape()["previews_by_phase"]
    assert {project for _, project in counts} == {"shop", ""}
    assert counts[Phase.BLOCKED, ""] == 19


def test_a_removal_is_as_old_as_its_decision_until_it_has_its_receipt(api: Scraped) -> None:
    now = api.clock.now()
    removal = Removal(cause="PullRequestClosed", by="ann", started_at=now - timedelta(seconds=90))
    younger = replace(removal, started_at=now - timedelta(seconds=5))
    over = replace(removal, started_at=now - timedelta(days=1), finished_at=now)
    for number, each in enumerate((removal, younger, over), 1):
        api.store.save(PreviewRecord(key=PreviewKey("shop", number), removal=each))
    scraped = api.scrape()
    assert scraped["previews_removals"][()] == 2
    assert scraped["previews_removal_oldest_age_seconds"][()] == 90


def test_without_a_removal_there_is_no_age(api: Scraped) -> None:
    assert api.scrape()["previews_removal_oldest_age_seconds"][()] == 0


def test_what_the_brake_holds_and_a_rollout_waits_for_is_told(api: Scraped) -> None:
    held = tuple((PreviewKey("shop", number), "Expired") for number in range(3))
    api.brake = BrakeState(
        holds=True,
        held=held,
        begun=0,
        allowed=2,
        window_seconds=600,
        rewrites_waiting=7,
        rewrites_failing=1,
    )
    scraped = api.scrape()
    assert scraped["previews_brake_held"][()] == 3
    assert scraped["previews_rollout_waiting"][()] == 7
    assert scraped["previews_rollout_failing"][()] == 1


def test_deliveries_are_counted_by_what_was_answered(api: Scraped) -> None:
    for verdict in ("accepted", "accepted", "refused"):
        api.metrics.answered(verdict)
    assert api.scrape()["previews_deliveries_total"] == {
        **{(verdict,): 0 for verdict in ANSWERS},
        ("accepted",): 2,
        ("refused",): 1,
    }


def test_effects_are_counted_and_so_are_those_that_failed(api: Scraped) -> None:
    def refuse() -> None:
        raise TransientError("GitUnreachable", "nobody answers")

    api.effects.perform(Effect.PUSH, "one", lambda: None)
    for _ in range(2):
        with pytest.raises(TransientError):
            api.effects.perform(Effect.PUSH, "one", refuse)
    scraped = api.scrape()
    assert scraped["previews_effects_total"]["git.push",] == 1
    assert scraped["previews_effect_failures_total"]["git.push",] == 2
    assert set(scraped["previews_effects_total"]) == {(effect,) for effect in Effect}


def test_a_resync_has_an_age_from_the_first_complete_one_on(api: Scraped) -> None:
    assert "previews_resync_age_seconds" not in api.scrape()
    api.resynced_at = api.clock.now() - timedelta(seconds=40)
    assert api.scrape()["previews_resync_age_seconds"][()] == 40


def test_listings_and_redeliveries_are_counted_by_what_became_of_them(api: Scraped) -> None:
    api.listings = {"read": 12, "limited": 1, "failed": 2}
    api.redeliveries = {"redelivered": 3, "known": 0, "given_up": 1}
    scraped = api.scrape()
    assert scraped["previews_listings_total"] == {
        ("read",): 12,
        ("limited",): 1,
        ("failed",): 2,
    }
    assert scraped["previews_redeliveries_total"] == {
        ("redelivered",): 3,
        ("known",): 0,
        ("given_up",): 1,
    }


def test_what_the_forge_still_allows_is_told_by_account(api: Scraped) -> None:
    api.allowances = []
    assert "previews_forge_wait_seconds" not in api.scrape()
    api.allowances = [
        Allowance("installation 7", 5000, 4321, 500, 0.0),
        Allowance("the App", None, None, 499, 30.0),
    ]
    scraped = api.scrape()
    assert scraped["previews_forge_requests_limit"] == {("installation 7",): 5000}
    assert scraped["previews_forge_requests_remaining"] == {("installation 7",): 4321}
    assert scraped["previews_forge_creations_remaining"]["the App",] == 499
    assert scraped["previews_forge_wait_seconds"]["the App",] == 30


def test_the_last_sweeps_orphans_and_all_that_was_reclaimed_are_told(api: Scraped) -> None:
    assert "previews_orphans" not in api.scrape()
    orphans = tuple(_orphans(3))
    api.sweep = Sweep(at=api.clock.now(), actor="previews", dry_run=False, found=orphans)
    scraped = api.scrape()
    assert scraped["previews_orphans"][()] == 3
    assert scraped["previews_reclaimed_total"] == {
        **{(kind,): 0 for kind in Kind},
        (Kind.NAMESPACE,): 2,
    }


def _orphans(count: int) -> Iterator[Found]:
    for number in range(count):
        owned = OwnedObject(kind=Kind.NAMESPACE, name=f"preview-shop-pr-{number}")
        yield Found(owned=owned, verdict=Verdict.ORPHAN, cause="Closed")


def test_nobody_reads_them_without_the_token(api: Scraped) -> None:
    client = TestClient(api.web)
    for headers in ({}, {"Authorization": "Bearer another"}):
        assert client.get("/metrics", headers=headers).status_code == 401


def test_without_a_token_there_are_none() -> None:
    api = FakeAPI(with_token=False)
    assert TestClient(api.web).get("/metrics").status_code == 404


def test_probes_are_counted_by_what_they_came_to(api: Scraped) -> None:
    api.probes = {"Answered": 7, "HostNotFound": 1}
    assert api.scrape()["previews_probes_total"] == {
        **{(result,): 0 for result in RESULTS},
        ("Answered",): 7,
        ("HostNotFound",): 1,
    }


def test_the_certificate_has_an_end_from_the_first_look_on(api: Scraped) -> None:
    assert not {name for name in api.scrape() if "certificate" in name}
    late = Finding(check=EXPIRY, level=Level.PROBLEM, message="it is over", remedy="renew it")
    ended = api.clock.now() - timedelta(seconds=40)
    api.certificate = Inspection(findings=(late,), expires_at=ended)
    scraped = api.scrape()
    assert scraped["previews_certificate_expires_seconds"][()] == -40
    assert scraped["previews_certificate_problems"][()] == 1


def test_a_certificate_that_nobody_saw_has_no_end_and_a_problem(api: Scraped) -> None:
    lost = Finding(check=SERVED, level=Level.PROBLEM, message="nobody answers", remedy="look")
    api.certificate = Inspection(findings=(lost,))
    scraped = api.scrape()
    assert "previews_certificate_expires_seconds" not in scraped
    assert scraped["previews_certificate_problems"][()] == 1
