"""`previews doctor` as a person sees it, and how it runs its checks."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from previews.doctor import CHECKS, Check, examine
from previews.doctor_case import Case, fine
from previews.domain.findings import Finding, Level
from previews.errors import TransientError
from previews.settings import load_settings
from tests.integration.doctor_town import REVIEWS, Town, town_in


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with town_in(tmp_path) as town:
        yield town


def test_a_healthy_installation_has_no_problem_and_every_check_says_something(town: Town) -> None:
    found = town.examine()
    not_fine = [each for each in found if each.level is not Level.FINE]
    assert [(each.check, each.level) for each in not_fine] == [("isolation", Level.UNKNOWN)]
    for check in CHECKS:
        own = [f for f in found if f.check == check.name or f.check.startswith(f"{check.name} ")]
        assert own, check.name
    assert all(each.remedy for each in not_fine)
    assert not any(each.remedy for each in found if each.level is Level.FINE)


def test_nothing_is_written_anywhere(town: Town) -> None:
    before = town.remote.tip
    town.examine()
    written = [asked for asked in town.api.asked if asked.method not in {"GET", "HEAD"}]
    assert {asked.path for asked in written} == {REVIEWS}
    everybody = (*town.forge.asked, *town.registry.asked, *town.ingress.asked)
    assert {asked.method for asked in everybody} <= {"GET", "HEAD"}
    assert town.remote.tip == before
    assert list((town.directory / "data").iterdir()) == []


# As a person sees it.


def test_it_prints_a_line_for_each_finding_and_what_to_change(town: Town) -> None:
    town.configuration["forge"]["webhook_secret_files"] = []
    town.page = {}
    done = town.run()
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("ok       configuration     ")
    warning = next(n for n, line in enumerate(lines) if line.startswith("warning  webhooks"))
    assert "forge.webhook_secret_files" in lines[warning + 1]
    assert lines[warning + 1].startswith("         -> ")
    assert any(line.startswith("PROBLEM  wildcard ingress  ") for line in lines)
    assert lines[-1].startswith("problems: 1, warnings: 1, not found out: 1, fine: ")
    assert "canary" not in done.stdout + done.stderr


def test_without_a_problem_it_ends_with_0_and_json_is_all_that_is_printed(town: Town) -> None:
    done = town.run("--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found[0]) == {"check", "level", "message", "remedy"}
    assert found[0]["check"] == "configuration"
    assert {each["level"] for each in found} == {"fine", "unknown"}


def test_a_configuration_that_cannot_be_used_is_a_problem_for_each_mistake(town: Town) -> None:
    town.configuration["forge"]["tokn_file"] = "x"
    town.configuration["instance"] = "NOT ONE"
    done = town.run("--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert [(each["check"], each["level"]) for each in found] == [("configuration", "problem")] * 2


def test_with_everything_down_each_check_says_so_and_what_depends_on_it_blames_nothing_else(
    town: Town,
) -> None:
    for server in (town.forge, town.api, town.registry, town.ingress, town.metrics):
        server.script = lambda _asked, reply: reply.break_off()
    town.git.answer_with = 503
    found = town.examine()
    levels = {each.check: each.level for each in found}
    down = ("forge", "gitops", "registry", "cluster", "wildcard ingress", "ingress metrics")
    assert {name: levels[name] for name in down} == dict.fromkeys(down, Level.PROBLEM)
    follow = ("rights", "argocd", "admission", "isolation", "clock")
    assert {name: levels[name] for name in follow} == dict.fromkeys(follow, Level.UNKNOWN)
    assert not any("bug" in each.message for each in found)


# The runner.


def test_a_check_that_crashes_is_unknown_and_the_others_go_on(town: Town) -> None:
    def crash(_: Case) -> list[Finding]:
        raise KeyError("gone")

    def fail(_: Case) -> list[Finding]:
        raise TransientError("ForgeAnswer", "it said nothing")

    def answer(_: Case) -> list[Finding]:
        return [fine("third", "well")]

    case = Case(settings=load_settings(town.file))
    checks = [Check("first", crash), Check("second", fail), Check("third", answer)]
    first, second, third = examine(case, checks)
    assert (first.level, "KeyError: 'gone'" in first.message) == (Level.UNKNOWN, True)
    assert (second.level, "it said nothing" in second.message) == (Level.UNKNOWN, True)
    assert third.level is Level.FINE


def test_a_check_that_hangs_is_unknown_and_keeps_no_other_waiting(town: Town) -> None:
    over = threading.Event()

    def hang(_: Case) -> list[Finding]:
        over.wait()
        return []

    case = Case(settings=load_settings(town.file))
    checks = [Check("first", hang, 0.2), Check("second", lambda _: [fine("second", "well")])]
    first, second = examine(case, checks)
    over.set()
    assert (first.check, first.level) == ("first", Level.UNKNOWN)
    assert "within 0.2 s" in first.message
    assert second.level is Level.FINE


def test_what_is_slow_is_named_while_it_is_waited_for(town: Town) -> None:
    said: list[str] = []
    over = threading.Event()

    def wait(_: Case) -> list[Finding]:
        over.wait()
        return [fine("slow", "at last")]

    def hear(line: str) -> None:
        said.append(line)
        over.set()

    case = Case(settings=load_settings(town.file))
    (found,) = examine(case, [Check("slow", wait, 60.0)], say=hear)
    assert found.level is Level.FINE
    assert said[0] == "still asking: slow"
