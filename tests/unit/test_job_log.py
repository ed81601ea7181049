"""What is shown of the log of a migration that failed: its end, readable, and no password."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.adapters.job_log import LINE_LENGTH_MAX, newest_failed, shown

PASSWORD = "Zx3_" + "aB-9" * 9 + "qqq"


def pod(name: str, phase: str, created: str = "2026-11-22T17:00:00Z") -> dict[str, object]:
    return {
        "metadata": {"name": name, "creationTimestamp": created},
        "spec": {"containers": [{"name": f"container-of-{name}"}]},
        "status": {"phase": phase},
    }


def test_the_pod_that_failed_last_is_meant() -> None:
    pods = [
        pod("first", "Failed", "2026-11-22T17:00:00Z"),
        pod("last", "Failed", "2026-11-22T17:00:10Z"),
        pod("running", "Running", "2026-11-22T17:00:20Z"),
        pod("done", "Succeeded", "2026-11-22T17:00:30Z"),
    ]
    assert newest_failed(pods) == ("last", "container-of-last")
    assert newest_failed(pods[2:]) is None


def test_only_the_end_of_a_log_is_shown() -> None:
    assert shown("1\n2\n\n3\n4\n\n", 3) == "2\n3\n4"
    assert shown("", 3) == ""


def test_colours_and_control_characters_are_left_out() -> None:
    assert shown("\x1b[31mERROR\x1b[0m\tat\x00 line\u202e 1\r\n", 5) == "ERROR at line 1"


def test_a_line_without_an_end_is_cut() -> None:
    assert len(shown("so long " * 10_000, 5)) == LINE_LENGTH_MAX


@pytest.mark.parametrize(
    "line",
    [
        "cannot connect to postgres://preview_shop_pr_7:{}@10.0.0.1:5432/preview_shop_pr_7",
        "cannot connect to postgres://:{}@10.0.0.1",
        "PGPASSWORD={} PGHOST=10.0.0.1",
        '{{"host": "db", "password": "{}"}}',
        "password: {}",
        "dsn host=db password='{}' sslmode=prefer",
        "tried \x1b[1m{}\x1b[0m",
        "{}",
        "what does {}, mean?",
    ],
)
@pytest.mark.parametrize("password", [PASSWORD, "hunter2"])
def test_a_password_is_not_shown_where_passwords_stand(line: str, password: str) -> None:
    is_marked = any(mark in line.lower() for mark in ("password", "://"))
    if password == PASSWORD or is_marked:
        assert password not in shown(line.format(password), 1)
        assert "***" in shown(line.format(password), 1)


def test_one_of_ours_is_not_shown_even_half_with_a_colour_within() -> None:
    said = shown(f"{PASSWORD[:20]}\x1b[31m{PASSWORD[20:]}", 1)
    assert PASSWORD[:20] not in said
    assert PASSWORD[20:] not in said


@given(before=st.text(max_size=30), after=st.text(max_size=30))
def test_one_of_ours_is_never_shown(before: str, after: str) -> None:
    assert PASSWORD not in shown(f"{before}{PASSWORD}{after}", 100)


def test_passwords_as_we_make_them_look_like_ours() -> None:
    for _ in range(100):
        assert shown(secrets.token_urlsafe(32), 1) == "***"


def test_digests_and_commits_are_shown() -> None:
    line = f"commit {'ab12' * 10} of sha256:{'0f' * 32} has no column password_hash"
    assert shown(line, 1) == line
