"""The GitOps adapter over smart HTTP: passwords, refusals, redirects, lost answers, and servers that hang."""

import base64
import os
import select
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from previews.adapters.git_command import Credentials
from previews.domain.ports import PushRejectedError
from previews.errors import StalledError, TransientError
from tests.git_http_server import PASSWORD, USER, GitHTTPServer, serve_git
from tests.git_remote import GitRemote, repository_of


@pytest.fixture
def remote(tmp_path: Path) -> GitRemote:
    remote = GitRemote(tmp_path / "server")
    remote.commit({"README": "not ours", "previews/shop/0/keep.yaml": "k"}, "first commit")
    return remote


@pytest.fixture
def http(remote: GitRemote) -> Iterator[GitHTTPServer]:
    with serve_git(remote.bare) as served:
        yield served


def credentials_in(directory: Path, password: str) -> Credentials:
    file = directory / "git-password"
    file.write_text(f"{password}\n")
    return Credentials(USER, file)


def git_below(url: str) -> list[psutil.Process]:
    """Our git processes that talk to this server; other tests may have children as well."""
    found = []
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if any(url in argument for argument in each.cmdline()):
                found.append(each)
    return found


def test_http_with_a_password_from_a_file(
    tmp_path: Path, remote: GitRemote, http: GitHTTPServer
) -> None:
    repository = repository_of(
        tmp_path / "ours", http.url, credentials=credentials_in(tmp_path, PASSWORD)
    )
    tree = repository.push(repository.fetch(), {"shop/x.yaml": "x"}, "over http")
    assert repository.fetch() == tree
    assert remote.text_of("previews/shop/x.yaml") == "x"
    written = b"".join(
        file.read_bytes() for file in (tmp_path / "ours").rglob("*") if file.is_file()
    )
    assert PASSWORD.encode() not in written


def test_a_password_may_be_replaced_while_we_run(tmp_path: Path, http: GitHTTPServer) -> None:
    credentials = credentials_in(tmp_path, "old")
    repository = repository_of(tmp_path / "ours", http.url, credentials=credentials)
    with pytest.raises(StalledError):
        repository.fetch()
    credentials.password_file.write_text(PASSWORD)
    assert list(repository.fetch().blobs) == ["shop/0/keep.yaml"]


@pytest.mark.parametrize("password", ["wrong-s3cr3t", ""])
def test_a_wrong_password_stalls_and_is_never_repeated(
    tmp_path: Path, http: GitHTTPServer, password: str
) -> None:
    credentials = credentials_in(tmp_path, password)
    repository = repository_of(tmp_path / "ours", http.url, credentials=credentials)
    with pytest.raises(StalledError, match="check the credentials") as refused:
        repository.fetch()
    assert refused.value.reason == "GitOpsAccessDenied"
    if password:
        assert password not in refused.value.message
        assert base64.b64encode(password.encode()).decode()[:8] not in refused.value.message


def test_without_credentials_nobody_is_asked_for_any(tmp_path: Path, http: GitHTTPServer) -> None:
    with pytest.raises(StalledError) as refused:
        repository_of(tmp_path / "ours", http.url).fetch()
    assert refused.value.reason == "GitOpsAccessDenied"


def test_a_missing_password_file_is_a_refusal_and_no_crash(
    tmp_path: Path, http: GitHTTPServer
) -> None:
    credentials = Credentials(USER, tmp_path / "nothing")
    with pytest.raises(StalledError) as refused:
        repository_of(tmp_path / "ours", http.url, credentials=credentials).fetch()
    assert refused.value.reason == "GitOpsAccessDenied"


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (403, StalledError, "GitOpsWriteRefused"),
        (404, StalledError, "GitOpsNotFound"),
        (302, StalledError, "GitOpsNotFound"),
        (429, TransientError, "GitUnreachable"),
        (500, TransientError, "GitUnreachable"),
        (503, TransientError, "GitUnreachable"),
    ],
)
def test_what_an_http_server_answers_to_a_push(
    tmp_path: Path,
    http: GitHTTPServer,
    status: int,
    kind: type[StalledError | TransientError],
    reason: str,
) -> None:
    repository = repository_of(
        tmp_path / "ours", http.url, credentials=credentials_in(tmp_path, PASSWORD)
    )
    base = repository.fetch()
    http.answer_with = status
    with pytest.raises(kind) as failed:
        repository.push(base, {"shop/x.yaml": "x"}, "refused")
    assert failed.value.reason == reason
    http.answer_with = None
    repository.push(base, {"shop/x.yaml": "x"}, "taken")


@pytest.mark.fault(12)
def test_a_push_whose_answer_was_lost_is_found_on_the_branch(
    tmp_path: Path, remote: GitRemote, http: GitHTTPServer
) -> None:
    repository = repository_of(
        tmp_path / "ours", http.url, credentials=credentials_in(tmp_path, PASSWORD)
    )
    base = repository.fetch()
    http.lose_answer_to = "/gitops.git/git-receive-pack"
    with pytest.raises(TransientError) as lost:
        repository.push(base, {"shop/x.yaml": "x"}, "unheard")
    assert not isinstance(lost.value, PushRejectedError)
    http.lose_answer_to = None
    assert repository.fetch().blobs["shop/x.yaml"] == repository.blob_id("x")
    assert remote.messages() == ["first commit", "unheard"]


def test_a_server_that_never_answers_is_given_up_with_all_that_waits_for_it(
    tmp_path: Path, http: GitHTTPServer
) -> None:
    http.hold = threading.Event()
    repository = repository_of(tmp_path / "ours", http.url, timeout_seconds=2)
    with ThreadPoolExecutor(1) as threads:
        fetched = threads.submit(repository.fetch)
        assert http.reached.wait(20)
        waiting = [os.pidfd_open(each.pid) for each in git_below(http.url)]
        given_up = fetched.exception()
    assert isinstance(given_up, TransientError)
    assert given_up.reason == "GitUnreachable"
    assert "longer than 2 s" in given_up.message
    assert len(waiting) >= 2
    for process in waiting:
        assert select.select([process], [], [], 10)[0], "it outlived the time that it was given"
        os.close(process)
    http.hold.set()


def test_the_password_is_for_the_server_that_is_configured(
    tmp_path: Path, remote: GitRemote, http: GitHTTPServer
) -> None:
    with serve_git(remote.bare) as elsewhere:
        http.redirect_to = elsewhere.url.removesuffix("/gitops.git")
        repository = repository_of(
            tmp_path / "ours", http.url, credentials=credentials_in(tmp_path, PASSWORD)
        )
        with pytest.raises(StalledError, match="check the URL"):
            repository.fetch()
        assert elsewhere.requests == []


def test_a_server_that_repeats_the_password_is_not_quoted_with_it(
    tmp_path: Path, remote: GitRemote, http: GitHTTPServer
) -> None:
    repository = repository_of(
        tmp_path / "ours", http.url, credentials=credentials_in(tmp_path, PASSWORD)
    )
    base = repository.fetch()
    remote.refuse_pushes(f"the token {PASSWORD} has expired")
    with pytest.raises(StalledError, match=r"the token \*\*\* has expired"):
        repository.push(base, {"shop/x.yaml": "x"}, "refused")


def test_no_secret_is_visible_to_others_while_git_runs(tmp_path: Path, http: GitHTTPServer) -> None:
    """The arguments and environment of every process below us, looked at while the server holds the request."""
    http.hold = threading.Event()
    credentials = credentials_in(tmp_path, PASSWORD)
    repository = repository_of(
        tmp_path / "ours", http.url, credentials=credentials, timeout_seconds=20
    )
    with ThreadPoolExecutor(1) as threads:
        fetched = threads.submit(repository.fetch)
        assert http.reached.wait(20)
        seen = [[*each.cmdline(), *each.environ().values()] for each in git_below(http.url)]
        http.hold.set()
        assert isinstance(fetched.exception(), TransientError)
    assert any("fetch" in texts for texts in seen)
    assert not [text for texts in seen for text in texts if PASSWORD in text]
