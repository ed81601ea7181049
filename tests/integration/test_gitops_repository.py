"""The GitOps adapter against real git: other writers, refusals, killed processes and broken clones."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from previews.adapters import gitops
from previews.adapters.gitops import GitRepository
from previews.domain.ports import PushRejectedError
from previews.errors import StalledError, TransientError
from tests.git_remote import GitRemote, git, repository_of


@pytest.fixture
def remote(tmp_path: Path) -> GitRemote:
    remote = GitRemote(tmp_path / "server")
    remote.commit({"README": "not ours", "previews/shop/0/keep.yaml": "k"}, "first commit")
    return remote


@pytest.fixture
def repository(tmp_path: Path, remote: GitRemote) -> GitRepository:
    return repository_of(tmp_path / "ours", remote.url)


# Other writers


def test_what_others_keep_beside_our_folder_stays_as_it_is(
    remote: GitRemote, repository: GitRepository
) -> None:
    remote.commit({"previews-of-others/a.yaml": "x", "production/a.yaml": "live"})
    before = git(remote.bare, "ls-tree", "-r", "main", "README", "production", "previews-of-others")
    tree = repository.fetch()
    assert list(tree.blobs) == ["shop/0/keep.yaml"]
    repository.push(tree, {"shop/0/pr-1/a.yaml": "ours", "shop/0/keep.yaml": None}, "ours")
    after = git(remote.bare, "ls-tree", "-r", "main", "README", "production", "previews-of-others")
    assert after == before


@pytest.mark.fault(20)
def test_four_writers_lose_nothing_and_never_force(tmp_path: Path, remote: GitRemote) -> None:
    git(remote.bare, "config", "receive.denyNonFastForwards", "true")
    seen_tips: list[str] = []

    def write(writer: int) -> None:
        mine = repository_of(tmp_path / f"writer-{writer}", remote.url)
        for number in range(5):
            while True:
                tree = mine.fetch()
                seen_tips.append(tree.commit)
                try:
                    mine.push(tree, {f"w{writer}/{number}.yaml": "x"}, f"{writer} {number}")
                    break
                except PushRejectedError:
                    continue

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert (
        sum(
            1
            for path in repository_of(tmp_path / "reader", remote.url).fetch().blobs
            if path[0] == "w"
        )
        == 20
    )
    assert len(remote.messages()) == 21
    history = set(git(remote.bare, "rev-list", "main").split())
    assert set(seen_tips) <= history


def test_a_file_that_became_a_link_or_a_program_is_no_longer_what_we_wrote(
    tmp_path: Path, remote: GitRemote, repository: GitRepository
) -> None:
    wanted = repository.push(
        repository.fetch(), {"shop/a.yaml": "a", "shop/b.yaml": "README"}, "ours"
    )
    theirs = tmp_path / "theirs"
    git(tmp_path, "clone", "-q", str(remote.bare), str(theirs))
    (theirs / "previews/shop/a.yaml").chmod(0o755)
    (theirs / "previews/shop/b.yaml").unlink()
    (theirs / "previews/shop/b.yaml").symlink_to("README")
    git(theirs, "commit", "-q", "-a", "-m", "odd")
    git(theirs, "push", "-q", "origin", "HEAD:main")
    found = repository.fetch()
    assert found.blobs["shop/a.yaml"] != wanted.blobs["shop/a.yaml"]
    assert found.blobs["shop/b.yaml"] != wanted.blobs["shop/b.yaml"]
    mended = repository.push(found, {"shop/a.yaml": "a", "shop/b.yaml": "README"}, "mended")
    assert mended.blobs == wanted.blobs
    modes = git(
        remote.bare, "ls-tree", "-r", "main", "previews/shop/a.yaml", "previews/shop/b.yaml"
    )
    assert {line.split()[0] for line in modes.splitlines()} == {"100644"}


def test_what_is_no_text_is_not_read(
    tmp_path: Path, remote: GitRemote, repository: GitRepository
) -> None:
    theirs = tmp_path / "theirs"
    git(tmp_path, "clone", "-q", str(remote.bare), str(theirs))
    (theirs / "previews/latin.yaml").write_bytes(b"name: caf\xe9\n")
    (theirs / "previews/surrogate.yaml").write_bytes(b"\xed\xa0\x80")
    (theirs / "previews/link.yaml").symlink_to("shop/0/keep.yaml")
    (theirs / "previews/program.yaml").write_text("#!/bin/sh\r\n")
    (theirs / "previews/program.yaml").chmod(0o755)
    git(theirs, "add", "--all")
    git(theirs, "commit", "-q", "-m", "odd")
    git(theirs, "push", "-q", "origin", "HEAD:main")
    commit = repository.fetch().commit

    for name in ("latin.yaml", "surrogate.yaml", "link.yaml"):
        with pytest.raises(StalledError, match=name) as raised:
            repository.read_file(commit, name)
        assert raised.value.reason == "GitOpsFileUnreadable"
    assert repository.read_file(commit, "program.yaml") == "#!/bin/sh\r\n"


def test_a_file_of_any_name_in_our_folder_can_be_removed(
    tmp_path: Path, remote: GitRemote, repository: GitRepository
) -> None:
    theirs = tmp_path / "theirs"
    git(tmp_path, "clone", "-q", str(remote.bare), str(theirs))
    names = ('new\nline "quoted" \\back', "ü", "*?[x]", "-x", "latin-\udce9")
    for name in names:
        (theirs / "previews" / name).write_text("x")
    git(theirs, "add", "--all")
    git(theirs, "commit", "-q", "-m", "odd names")
    git(theirs, "push", "-q", "origin", "HEAD:main")
    tree = repository.fetch()
    assert set(names) <= set(tree.blobs)
    tree = repository.push(tree, dict.fromkeys(names), "tidy")
    assert list(tree.blobs) == ["shop/0/keep.yaml"]
    assert repository_of(tmp_path / "again", remote.url).fetch() == tree


@pytest.mark.fault(24)
def test_history_that_was_rewritten_is_taken_as_it_is(
    tmp_path: Path, remote: GitRemote, repository: GitRepository
) -> None:
    repository.push(repository.fetch(), {"shop/x.yaml": "x"}, "soon gone")
    other = GitRemote(tmp_path / "other")
    other.commit({"previews/shop/y.yaml": "y"}, "another beginning")
    git(other.bare, "push", "-q", "--force", str(remote.bare), "main:main")
    tree = repository.fetch()
    assert list(tree.blobs) == ["shop/y.yaml"]
    repository.push(tree, {"shop/x.yaml": "x"}, "again")
    assert remote.messages() == ["another beginning", "again"]


# What is written


def test_a_message_says_what_was_meant_and_hides_nothing(
    remote: GitRemote, repository: GitRepository
) -> None:
    message = (
        "fix: $(id) `x` --amend\n\n{{.x}} \U0001f600\tü\n# no comment\n\x00\x1b[2J\u202e\ud800 end"
    )
    repository.push(repository.fetch(), {"shop/x.yaml": "x"}, message)
    readable = message
    for hidden in ("\x00", "\x1b", "\u202e", "\ud800"):
        readable = readable.replace(hidden, "\ufffd")
    assert remote.messages()[-1] == readable
    author = git(remote.bare, "log", "-1", "--format=%an <%ae> %cn <%ce>", "main").strip()
    assert author == "previews <previews@example.org> previews <previews@example.org>"


def test_text_that_is_not_unicode_is_refused(remote: GitRemote, repository: GitRepository) -> None:
    before = remote.tip
    with pytest.raises(ValueError, match="surrogates"):
        repository.push(repository.fetch(), {"shop/x.yaml": "\ud800"}, "broken")
    assert remote.tip == before


def test_the_server_finds_every_object_sound(remote: GitRemote, repository: GitRepository) -> None:
    git(remote.bare, "config", "receive.fsckObjects", "true")
    tree = repository.push(repository.fetch(), {"shop/x.yaml": "x"}, "one\0two")
    repository.push(tree, {"shop/x.yaml": None}, "two")
    git(remote.bare, "fsck", "--strict", "--full")


# Refusals


def test_a_hook_that_declines_is_quoted_without_control_characters(
    remote: GitRemote, repository: GitRepository
) -> None:
    base = repository.fetch()
    remote.refuse_pushes("\x1b[31mask Alice\u202e\nfirst, " + "please " * 200)
    with pytest.raises(StalledError, match="ask Alice first, please") as refused:
        repository.push(base, {"shop/x.yaml": "x"}, "refused")
    assert refused.value.reason == "GitOpsWriteRefused"
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 1000


def test_a_server_that_cannot_store_the_commit_is_tried_again(
    remote: GitRemote, repository: GitRepository
) -> None:
    base = repository.fetch()
    git(remote.bare, "config", "receive.maxInputSize", "10")
    with pytest.raises(TransientError) as failed:
        repository.push(base, {"shop/x.yaml": "x" * 1000}, "too large today")
    assert not isinstance(failed.value, PushRejectedError)


def test_a_repository_that_is_not_there_stalls(tmp_path: Path) -> None:
    with pytest.raises(StalledError, match="check the URL"):
        repository_of(tmp_path / "ours", f"file://{tmp_path}/nothing.git").fetch()


def test_an_empty_repository_stalls_and_says_what_to_create(tmp_path: Path) -> None:
    remote = GitRemote(tmp_path / "server")
    with pytest.raises(StalledError, match=r"refs/heads/main; create that branch") as refused:
        repository_of(tmp_path / "ours", remote.url).fetch()
    assert refused.value.reason == "GitOpsBranchMissing"


def test_a_repository_of_sha_256_is_refused_by_name(tmp_path: Path) -> None:
    remote = GitRemote(tmp_path / "server", object_format="sha256")
    remote.commit({"README": "x"})
    with pytest.raises(StalledError, match="SHA-256"):
        repository_of(tmp_path / "ours", remote.url).fetch()


@pytest.mark.parametrize(
    "url", ["ext::sh -c 'touch PWNED' %S", "--upload-pack=touch PWNED", "fd::7"]
)
def test_a_url_that_would_run_a_program_runs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((StalledError, ValueError)):
        repository_of(tmp_path / "ours", url).fetch()
    assert not (tmp_path / "PWNED").exists()


def test_a_url_with_a_password_is_refused_without_repeating_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without a password") as refused:
        repository_of(tmp_path, "https://me:hunter2@git.example/gitops.git")
    assert "hunter2" not in str(refused.value)


def test_the_users_own_git_settings_change_nothing(
    tmp_path: Path, remote: GitRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook, an index or a directory of the shell that started us would be a trap."""
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nonexistent")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text("[core\n this is no configuration")
    repository = repository_of(tmp_path / "ours", remote.url)
    repository.push(repository.fetch(), {"shop/x.yaml": "x"}, "fine")
    assert remote.text_of("previews/shop/x.yaml") == "x"


# Killed in the middle, and broken clones


def clone_in(directory: Path) -> Path:
    return directory / "ours" / "clone.git"


@pytest.mark.fault(22)
def test_locks_and_leftovers_of_a_killed_process_block_nothing(
    tmp_path: Path, remote: GitRemote, repository: GitRepository
) -> None:
    repository.push(repository.fetch(), {"shop/x.yaml": "x"}, "before")
    clone = clone_in(tmp_path)
    locks = ["config.lock", "shallow.lock", "packed-refs.lock", "HEAD.lock"]
    locks += [f"{gitops.TIP}.lock", f"{gitops.NEXT}.lock"]
    leftovers = ["objects/pack/tmp_pack_x", "fast_import_crash_1"]
    for name in (*locks, *leftovers):
        (clone / name).write_text("")
    marker = clone / "the-same-clone"
    marker.write_text("")
    restarted = repository_of(tmp_path / "ours", remote.url)
    restarted.push(restarted.fetch(), {"shop/x.yaml": "y"}, "after")
    assert remote.text_of("previews/shop/x.yaml") == "y"
    assert marker.exists()
    assert not [name for name in (*locks, *leftovers) if (clone / name).exists()]


@pytest.mark.fault(22)
def test_a_process_killed_while_it_pushes_leaves_nothing_that_blocks_the_next(
    tmp_path: Path, remote: GitRemote
) -> None:
    reached = tmp_path / "reached"
    os.mkfifo(reached)
    hook = remote.bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho reached > '{reached}'\nexec sleep 60\n")
    hook.chmod(0o755)
    code = (
        "from tests.git_remote import repository_of\n"
        "from pathlib import Path\n"
        f"r = repository_of(Path({str(tmp_path / 'ours')!r}), {remote.url!r})\n"
        "r.push(r.fetch(), {'shop/x.yaml': 'x'}, 'never answered')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as manager:
        reached.read_text()
        # Git runs in a session of its own and would outlive the manager: a machine that stops kills both.
        for child in psutil.Process(manager.pid).children():
            os.killpg(child.pid, signal.SIGKILL)
        manager.kill()
    hook.unlink()
    restarted = repository_of(tmp_path / "ours", remote.url)
    restarted.push(restarted.fetch(), {"shop/x.yaml": "y"}, "after")
    assert remote.messages() == ["first commit", "after"]


def ruin_head(clone: Path) -> None:
    (clone / "HEAD").unlink()


def ruin_tip(clone: Path) -> None:
    (clone / gitops.TIP).write_text("f" * 40 + "\n")


def ruin_settings(clone: Path) -> None:
    (clone / "config").write_text("[core\n\0garbage")


def ruin_shallow_file(clone: Path) -> None:
    (clone / "shallow").write_text("garbage")


def ruin_objects(clone: Path) -> None:
    shutil.rmtree(clone / "objects")
    (clone / "objects").mkdir()


def ruin_each_object(clone: Path) -> None:
    for file in (clone / "objects").rglob("*"):
        if file.is_file():
            file.chmod(0o644)
            file.write_bytes(b"\0" * 100)


def ruin_everything(clone: Path) -> None:
    shutil.rmtree(clone)
    clone.mkdir()
    (clone / "HEAD").write_text("ref: refs/heads/main")


def remove_everything(clone: Path) -> None:
    shutil.rmtree(clone)


def put_a_file_there(clone: Path) -> None:
    shutil.rmtree(clone)
    clone.write_text("what is this")


RUIN = [
    ruin_head,
    ruin_tip,
    ruin_settings,
    ruin_shallow_file,
    ruin_objects,
    ruin_each_object,
    ruin_everything,
    remove_everything,
    put_a_file_there,
]


@pytest.mark.parametrize("ruin", RUIN)
@pytest.mark.parametrize("restart", [False, True], ids=["same process", "restarted"])
@pytest.mark.fault(22)
def test_a_ruined_clone_is_made_anew(
    tmp_path: Path,
    remote: GitRemote,
    repository: GitRepository,
    ruin: Callable[[Path], None],
    restart: bool,  # noqa: FBT001 a parameter of the test
) -> None:
    base = repository.push(repository.fetch(), {"shop/x.yaml": "x"}, "before")
    ruin(clone_in(tmp_path))
    if restart:
        repository = repository_of(tmp_path / "ours", remote.url)
    for _ in range(2):
        try:
            repository.push(base, {"shop/x.yaml": "y"}, "after")
            break
        except TransientError:
            base = repository.fetch()
    assert remote.text_of("previews/shop/x.yaml") == "y"
    assert repository.files_at(base.commit, "shop") == {"x.yaml"}


@pytest.mark.parametrize("ruin", RUIN)
def test_a_file_is_read_from_a_ruined_clone_at_the_second_try(
    tmp_path: Path, repository: GitRepository, ruin: Callable[[Path], None]
) -> None:
    commit = repository.push(repository.fetch(), {"shop/x.yaml": "x"}, "before").commit
    ruin(clone_in(tmp_path))
    try:
        text = repository.read_file(commit, "shop/x.yaml")
    except TransientError:
        text = repository.read_file(commit, "shop/x.yaml")
    assert text == "x"


def test_commits_from_before_the_clone_was_lost_are_asked_of_the_server(
    tmp_path: Path, remote: GitRemote, repository: GitRepository
) -> None:
    old = repository.push(repository.fetch(), {"shop/1/pr-1/a.yaml": "a"}, "old")
    repository.push(old, {"shop/1/pr-1/a.yaml": None}, "new")
    shutil.rmtree(tmp_path / "ours")
    restarted = repository_of(tmp_path / "ours", remote.url)
    restarted.fetch()
    assert restarted.read_file(old.commit, "shop/1/pr-1/a.yaml") == "a"
    assert restarted.files_at(old.commit, "shop/1/pr-1") == {"a.yaml"}
    shutil.rmtree(tmp_path / "server")
    assert restarted.files_at(old.commit, "shop/1/pr-1") == {"a.yaml"}
    assert restarted.read_file(old.commit, "shop/1/pr-1/a.yaml") == "a"


def test_a_clone_is_packed_now_and_then(tmp_path: Path, repository: GitRepository) -> None:
    tree = repository.fetch()
    for number in range(gitops.COMMITS_PER_REPACK + 5):
        tree = repository.push(tree, {"shop/x.yaml": str(number)}, "again")
    counted = git(clone_in(tmp_path), "count-objects", "-v").splitlines()
    assert int(counted[0].removeprefix("count: ")) < 5 * 6
    assert "in-pack: 0" not in counted
    git(clone_in(tmp_path), "fsck")
