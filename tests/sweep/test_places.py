"""What the sweep on the cluster has before it. That itself needs the cluster: `make sweep ARGS=--real`."""

from collections import Counter

from previews.reconcile.effects import Effect
from tests.sweep import at_github
from tests.sweep.places import ENDINGS, LIFE, OPENINGS, RealPlan, chosen_plans, in_lives
from tests.sweep.plans import Strike
from tests.sweep.steps import STEPS

AWAY = {
    Effect.SET_CHECK,
    Effect.SET_DEPLOYMENT,
    Effect.REMOVE_DEPLOYMENT,
    Effect.REMOVE_ENVIRONMENT,
    Effect.REDELIVER,
}
"""The Gitea of the sweep has no check runs, no deployments and no list of failed deliveries."""


def test_every_effect_that_the_cluster_has_something_for_is_struck_in_every_way() -> None:
    struck = {(plan.effect, plan.strike) for plan in chosen_plans()}
    wanted = set(Effect) - AWAY
    assert struck == {(effect, strike) for effect in wanted for strike in Strike}


def test_what_gitea_has_not_is_struck_at_the_stand_in_github() -> None:
    struck = {(plan.effect, plan.strike) for plan in at_github.chosen_plans()}
    assert struck >= {(effect, strike) for effect in AWAY for strike in Strike}


def test_every_plan_has_its_turn_once() -> None:
    plans = chosen_plans()
    assert Counter(in_lives(plans)) == Counter(plans)


def test_every_workload_has_a_place_in_a_life() -> None:
    assert {plan.workload for plan in chosen_plans()} == set(LIFE)


def test_every_workload_is_a_step() -> None:
    assert set(LIFE) == set(STEPS)


def test_what_needs_a_live_preview_does_not_wait_for_an_end() -> None:
    order = [plan.workload for plan in in_lives(chosen_plans())]
    needy = [
        index
        for index, name in enumerate(order)
        if name in {"push", "sleep", "say", "reset", "reopen"}
    ]
    assert order[0] in OPENINGS
    assert max(needy) < min(index for index, name in enumerate(order) if name in ENDINGS)


def test_a_plan_of_the_cluster_is_read_as_it_is_written() -> None:
    for plan in (*chosen_plans(), *at_github.chosen_plans()):
        assert RealPlan.parse(str(plan)) == plan
