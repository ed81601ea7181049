"""What a configuration may say, and what is told of one that says something else."""

from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from previews.domain.brake import BrakeLimits
from previews.domain.caps import Caps
from previews.domain.lifetime import Anchor, LifetimePolicy, SleepHours
from previews.errors import ConfigurationError
from previews.settings import Settings, load_settings

NIGHT = {"days": ["fri"], "start": "22:30", "end": "06:00", "time_zone": "Europe/Berlin"}


@pytest.fixture
def configuration(tmp_path: Path) -> dict[str, Any]:
    token = tmp_path / "token"
    token.write_text("secret")
    return {
        "instance": "acme",
        "data_directory": str(tmp_path / "data"),
        "forge": {"kind": "gitea", "api_url": "http://127.0.0.1:3000", "token_file": str(token)},
        "gitops": {"url": "http://127.0.0.1:3000/acme/gitops.git"},
        "domain": {"zone": "preview.example"},
        "projects": [project("shop"), project("api")],
    }


def project(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "repository": f"acme/{name}",
        "image": {"repository": f"registry.example/{name}"},
        "deploy": {
            "helm": {"repository_url": "https://git.example/charts.git", "path": "charts/app"}
        },
        "hostname": "{project}-pr-{number}.preview.example",
    }


def load(tmp_path: Path, configuration: dict[str, Any]) -> Settings:
    path = tmp_path / "previews.yaml"
    path.write_text(yaml.safe_dump(configuration))
    return load_settings(path)


def put(configuration: dict[str, Any], key: str, value: object) -> None:
    section: Any = configuration
    *parents, last = key.split(".")
    for part in parents:
        section = section[int(part) if part.isdigit() else part]
    section[last] = value


def test_reads_a_small_configuration(tmp_path: Path, configuration: dict[str, Any]) -> None:
    settings = load(tmp_path, configuration)
    shop = settings.project_map()["shop"]
    assert shop.url(42) == "https://shop-pr-42.preview.example/"
    assert settings.resync.total_seconds() == 60


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("forge.tokn", "x", "forge.tokn: there is no such key"),
        ("forge.kind", "svn", "forge.kind"),
        (
            "forge.token_file",
            "/does/not/exist",
            "forge.token_file: the file /does/not/exist does not",
        ),
        ("instance", "Acme Corp", "instance: 'Acme Corp' must be"),
        ("instance", 7, "instance"),
        ("resync", "often", "resync: must be a duration"),
        ("resync", "999999999d", "resync: must be at most 3650d"),
        ("gitops.url", "https://user:pw@git.example/x.git", "gitops.url"),
        ("gitops.path", "../etc", "gitops.path"),
        ("gitops.pushes_per_minute", 0, "gitops.pushes_per_minute"),
        ("domain.zone", "Preview.example", "domain.zone"),
        ("domain.port", 99999, "domain.port"),
        ("projects", [], "projects"),
        ("projects.0.repository", "shop", "projects.0.repository: 'shop' must be owner/name"),
        ("projects.1.name", "shop", "projects.1.name: there are two projects 'shop'"),
        ("projects.0.name", "shop-pr", "projects.0.name"),
        ("projects.0.image.tag", "latest", "projects.0.image.tag"),
        ("projects.0.image.repository", "shop:latest", "projects.0.image.repository"),
        ("projects.0.hostname", "shop.preview.example", "projects.0.hostname"),
        ("projects.0.hostname", "{number}.other.example", "projects.0.hostname"),
        ("projects.0.hostname_suffix", True, "projects.0.hostname_suffix: needs domain"),
        ("projects.0.services", ["Api"], "projects.0.hostname: 'Api'"),
        ("projects.0.services", ["api", "api"], "projects.0.hostname: the service 'api'"),
        ("projects.0.services", ["x" * 60], "projects.0.hostname"),
        ("projects.0.deploy.helm.parameters", {"x": "{host_api}"}, "helm.parameters.x"),
        ("server", {"public_host": "shop-pr-7.preview.example"}, "server.public_host"),
        (
            "projects.0.deploy.helm.parameters",
            {"x": "{title}"},
            "projects.0.deploy.helm.parameters.x",
        ),
        ("projects.0.deploy.helm.path", "/etc", "projects.0.deploy.helm.path"),
        ("projects.0.probe", {"path": "ready"}, "projects.0.probe.path"),
        ("projects.0.probe", {"statuses": []}, "projects.0.probe.statuses"),
        ("projects.0.probe", {"statuses": ["399-200"]}, "projects.0.probe.statuses.0: '399-200'"),
        ("projects.0.probe", {"statuses": ["all"]}, "projects.0.probe.statuses.0: 'all'"),
        ("projects.0.probe", {"headers": {"Host": "x"}}, "the probe itself says Host"),
        ("projects.0.probe", {"headers": {"A B": "x"}}, "'A B' is no name of a header"),
        ("projects.0.probe", {"headers": {"A": "x\r\nB: y"}}, "projects.0.probe.headers.A"),
        ("projects.0.probe", {"timeout": "11s"}, "projects.0.probe.timeout: must be at most 10s"),
        ("projects.0.probe", {"failures": 0}, "projects.0.probe.failures"),
        ("projects.0.lifetime", {"ttl": "soon"}, "projects.0.lifetime.ttl: must be a duration"),
        ("projects.0.lifetime", {"ttl": 72}, "projects.0.lifetime.ttl: must be a duration"),
        ("projects.0.lifetime", {"ttl": "0s"}, "projects.0.lifetime.ttl"),
        ("projects.0.lifetime", {"ttl": "9999999d"}, "projects.0.lifetime.ttl"),
        ("projects.0.lifetime", {"ttl_max": "0s"}, "projects.0.lifetime.ttl_max"),
        ("projects.0.lifetime", {"anchor": "whenever"}, "projects.0.lifetime.anchor"),
        ("projects.0.lifetime", {"sleep_after": "0s"}, "projects.0.lifetime.sleep_after"),
        ("projects.0.lifetime", {"sleep_after": "1h"}, "needs ingress.metrics_urls"),
        (
            "projects.0.lifetime",
            {"sleep_hours": [NIGHT | {"time_zone": "Mars/Olympus"}]},
            "projects.0.lifetime.sleep_hours.0.time_zone: 'Mars/Olympus' is no time zone",
        ),
        (
            "projects.0.lifetime",
            {"sleep_hours": [NIGHT | {"time_zone": "../../etc/passwd"}]},
            "projects.0.lifetime.sleep_hours.0.time_zone",
        ),
        (
            "projects.0.lifetime",
            {"sleep_hours": [NIGHT | {"start": "25:00"}]},
            'projects.0.lifetime.sleep_hours.0.start: must be a time of day such as "22:30"',
        ),
        (
            "projects.0.lifetime",
            {"sleep_hours": [NIGHT | {"days": ["monday"]}]},
            "projects.0.lifetime.sleep_hours.0.days.0",
        ),
        (
            "projects.0.lifetime",
            {"sleep_hours": [NIGHT | {"days": []}]},
            "projects.0.lifetime.sleep_hours.0.days",
        ),
        ("projects.0.limits", {"previews": 0}, "projects.0.limits.previews"),
        ("limits", {"awake": -1}, "limits.awake"),
        ("brake", {"removals": 0}, "brake.removals"),
        ("brake", {"share": 1.5}, "brake.share"),
        ("brake", {"window": "0s"}, "brake.window"),
        ("rewrites_at_most", 0, "rewrites_at_most"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(
    tmp_path: Path, configuration: dict[str, Any], key: str, value: object, named: str
) -> None:
    put(configuration, key, value)
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, configuration)
    lines = raised.value.message.splitlines()
    assert len(lines) == 1
    assert named in lines[0]


def test_projects_that_could_yield_one_hostname_are_refused(
    tmp_path: Path, configuration: dict[str, Any]
) -> None:
    for index in (0, 1):
        put(configuration, f"projects.{index}.hostname", "pr-{number}.preview.example")
    with pytest.raises(ConfigurationError, match=r"projects\.1\.hostname: .* could yield one host"):
        load(tmp_path, configuration)


def test_services_that_could_yield_a_hostname_of_another_project_are_refused(
    tmp_path: Path, configuration: dict[str, Any]
) -> None:
    put(configuration, "projects.0.hostname", "pr-{number}.preview.example")
    put(configuration, "projects.0.services", ["5"])
    put(configuration, "projects.1.hostname", "pr-1-{number}.preview.example")
    with pytest.raises(ConfigurationError, match=r"projects\.1\.hostname: .* could yield one host"):
        load(tmp_path, configuration)


def test_each_service_gets_a_host_and_no_stranger_guesses_any(
    tmp_path: Path, configuration: dict[str, Any]
) -> None:
    key_file = tmp_path / "hostname-key"
    key_file.write_text("0123456789abcdef\n")
    put(configuration, "domain.hostname_key_file", str(key_file))
    put(configuration, "projects.0.hostname_suffix", value=True)
    put(configuration, "projects.0.services", ["api"])
    put(configuration, "projects.0.deploy.helm.parameters", {"env.API": "https://{host_api}/"})
    projects = load(tmp_path, configuration).project_map()
    shop, other = projects.values()
    own, api = shop.names(7).hosts
    suffix = own.partition(".")[0][-9:]
    assert own == f"{shop.name}-pr-7{suffix}.preview.example"
    assert shop.service_hosts(7) == {"api": f"{shop.name}-pr-7-api{suffix}.preview.example"}
    assert api == shop.service_hosts(7)["api"]
    assert other.names(7).hosts == (f"{other.name}-pr-7.preview.example",)
    assert "0123456789abcdef" not in repr(shop)


def test_a_key_that_anybody_could_guess_is_refused(
    tmp_path: Path, configuration: dict[str, Any]
) -> None:
    key_file = tmp_path / "hostname-key"
    key_file.write_text("short")
    put(configuration, "domain.hostname_key_file", str(key_file))
    with pytest.raises(ConfigurationError, match=r"domain\.hostname_key_file: .* 16 bytes") as said:
        load(tmp_path, configuration)
    assert "short" not in said.value.message


def test_the_value_of_an_unknown_key_is_not_shown(
    tmp_path: Path, configuration: dict[str, Any]
) -> None:
    put(configuration, "forge.token", "hunter2")
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, configuration)
    assert "hunter2" not in raised.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("instance: a\ninstance: b\n", "stands twice"),
        ("- a\n", "must hold keys"),
        ("{", "previews.yaml"),
        ("", "must hold keys"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "previews.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        load_settings(path)


def test_pushes_to_github_are_held_to_what_github_recommends(
    tmp_path: Path, configuration: dict[str, Any]
) -> None:
    assert load(tmp_path, configuration).pushes_per_minute() is None
    put(configuration, "gitops.url", "https://github.com/acme/gitops.git")
    assert load(tmp_path, configuration).pushes_per_minute() == 6
    put(configuration, "gitops.pushes_per_minute", 30)
    assert load(tmp_path, configuration).pushes_per_minute() == 30


def test_how_long_previews_live_and_when_they_sleep_is_read_for_each_project(
    tmp_path: Path, configuration: dict[str, Any]
) -> None:
    put(configuration, "ingress", {"metrics_urls": ["http://127.0.0.1:9100/metrics"]})
    lifetime = {
        "ttl": "3d",
        "ttl_max": "10d",
        "anchor": "creation",
        "warn_before": "2h",
        "sleep_after": "1h",
        "sleep_hours": [NIGHT],
    }
    put(configuration, "projects.0.lifetime", lifetime)
    put(configuration, "projects.0.limits", {"previews": 5, "per_author": 2, "awake": 3})
    projects = load(tmp_path, configuration).project_map()
    assert projects["shop"].lifetime == LifetimePolicy(
        ttl=timedelta(days=3),
        ttl_max=timedelta(days=10),
        anchor=Anchor.CREATION,
        warn_before=timedelta(hours=2),
        sleep_after=timedelta(hours=1),
        sleep_hours=(SleepHours(frozenset({4}), time(22, 30), time(6), "Europe/Berlin"),),
    )
    assert projects["shop"].caps == Caps(previews=5, per_author=2, awake=3)
    assert projects["api"].lifetime == LifetimePolicy(ttl=timedelta(days=7))
    assert projects["api"].caps == Caps()


def test_a_time_to_live_of_null_is_none_at_all(
    tmp_path: Path, configuration: dict[str, Any]
) -> None:
    put(configuration, "projects.0.lifetime", {"ttl": None})
    assert load(tmp_path, configuration).project_map()["shop"].lifetime.ttl is None


def test_a_time_of_day_without_quotes_is_what_it_looks_like(
    tmp_path: Path, configuration: dict[str, Any]
) -> None:
    """YAML reads 22:30 as a number of minutes, in base sixty."""
    put(configuration, "projects.0.lifetime", {"sleep_hours": [NIGHT | {"start": 22 * 60 + 30}]})
    (hours,) = load(tmp_path, configuration).project_map()["shop"].lifetime.sleep_hours
    assert hours.start == time(22, 30)


def test_the_brake_and_the_limits_of_the_server_are_read(
    tmp_path: Path, configuration: dict[str, Any]
) -> None:
    put(configuration, "brake", {"removals": 3, "share": 0.1, "window": "1h"})
    put(configuration, "limits", {"previews": 40, "evict_asleep": True})
    settings = load(tmp_path, configuration)
    assert settings.brake.limits() == BrakeLimits(removals=3, share=0.1, window=timedelta(hours=1))
    assert settings.limits.caps() == Caps(previews=40)
    assert settings.limits.evict_asleep
