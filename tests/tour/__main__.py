"""`python -m tests.tour`: a pull request is opened, pushed to and closed, and its commits and manifests are shown.

The manager is the real one, on SQLite and a bare Git repository on disk. GitHub is a stand-in that is held to GitHub's
own description; it sends GitHub's own example payloads. There is no cluster, so nothing is shown as Live or Removed.
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import structlog
import uvicorn
import yaml

from previews import app
from previews.app_databases import build_refresh
from previews.app_web import build_web
from previews.domain.preview import PreviewKey, parse_head_sha
from previews.domain.record import PreviewRecord
from previews.reconcile.assembly import join_loop
from previews.reconcile.controller import Controller
from previews.reconcile.effects import LoggingWitness
from previews.reconcile.inbox import Inbox
from previews.settings import Settings, load_settings
from tests.demo.stages import Chapter
from tests.fakes.registry import FakeRegistry
from tests.github.standin import StandInGitHub
from tests.tour.no_cluster import NoCluster
from tests.world.waiting import NotSeenError

REPOSITORY = "acme/shop"
KEY = PreviewKey("shop", 1)
FOLDER = "previews/shop/0/pr-1"
IMAGE = "registry.example/shop"
SECRET = "a secret of the tour"
FIRST = parse_head_sha("1f0e" * 10)
SECOND = parse_head_sha("2a7c" * 10)


def main() -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="previews-tour-") as directory:
        tour = Tour(Path(directory))
        try:
            tour.tell()
        except NotSeenError as error:
            print(f"\nthe tour ends here: {error}", file=sys.stderr)
            return 1
    print(
        f"\nThat took {time.monotonic() - began:.1f} s. With a cluster, `make demo` shows the rest."
    )
    return 0


class Tour:
    """One manager, one repository, one pull request."""

    def __init__(self, directory: Path) -> None:
        self._git_directory = directory / "gitops.git"
        self._directory = directory
        self._registry = FakeRegistry()

    def tell(self) -> None:
        """The whole story."""
        make_bare_repository(self._git_directory)
        with StandInGitHub() as github:
            github.add_repository(REPOSITORY)
            settings = write_settings(self._directory, github, self._git_directory)
            with self._manager(settings) as address:
                github.hook(f"{address}/webhooks", SECRET)
                self._open(github)
                self._push(github)
                self._close(github)
        print("\nThe whole history of the GitOps repository:")
        print(indented(self._git("log", "--reverse", "--format=%h %s%n%w(0,4,4)%(trailers)")))

    @contextmanager
    def _manager(self, settings: Settings) -> Iterator[str]:
        structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
        cluster = NoCluster()
        clock = app.SystemClock()
        world = app.build_world(settings, clock, cluster, app.build_store(settings, clock))
        world = replace(world, registry=self._registry)
        loop = join_loop(world, app.build_options(settings), LoggingWitness())
        controller = Controller(loop, cluster)
        inbox = Inbox(world.store, loop.effects, loop.enqueue)
        self._store = world.store
        templates = build_refresh(settings, {}, clock)
        web = build_web(settings, loop, world, inbox, templates)
        server = uvicorn.Server(uvicorn.Config(web, port=0, log_config=None))
        thread = threading.Thread(target=server.run)
        inbox.start()
        controller.start()
        thread.start()
        try:
            chapter = Chapter(
                "The manager starts: SQLite, one process, a bare Git repository on disk"
            )
            chapter.watch("manager", lambda: "listening" if server.started else "", explain=str)
            port = server.servers[0].sockets[0].getsockname()[1]
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()
            inbox.stop()
            controller.stop()

    def _open(self, github: StandInGitHub) -> None:
        chapter = Chapter("A pull request is opened; its image is not built yet")
        github.open_pull_request(REPOSITORY, "feature", "A better shop", "octo-dev", FIRST)
        chapter.say(
            "webhook", f"{github.deliveries[-1].event}: answered {github.deliveries[-1].status}"
        )
        chapter.watch("preview", lambda: self._phase_is("WaitingForImage"), explain=self._explain)
        self._registry.push(IMAGE, f"pr-1-{FIRST[:7]}")
        chapter.say("registry", f"CI has pushed {IMAGE}:pr-1-{FIRST[:7]} (played by the tour)")
        chapter.watch("GitOps commit", lambda: self._commit(1), explain=self._explain)
        chapter.watch("preview", lambda: self._phase_is("Provisioning"), explain=self._explain)
        self._show_status(github, chapter)
        print(f"\n{FOLDER}/application.yaml:")
        print(indented(self._git("show", f"main:{FOLDER}/application.yaml")))
        print("\nObjects beside it in namespace.yaml:")
        documents = yaml.safe_load_all(self._git("show", f"main:{FOLDER}/namespace.yaml"))
        for document in documents:
            print(f"    {document['kind']:<16}{document['metadata']['name']}")

    def _push(self, github: StandInGitHub) -> None:
        chapter = Chapter("A commit is pushed")
        self._registry.push(IMAGE, f"pr-1-{SECOND[:7]}")
        github.push(REPOSITORY, 1, SECOND)
        chapter.watch("GitOps commit", lambda: self._commit(2), explain=self._explain)
        self._show_status(github, chapter)
        print(indented(self._git("show", "--format=", "-U0", "main", "--", FOLDER)))

    def _close(self, github: StandInGitHub) -> None:
        chapter = Chapter("It is closed: first the Application goes, then everything else")
        github.close(REPOSITORY, 1)
        chapter.watch("GitOps commit", lambda: self._commit(3), explain=self._explain)
        chapter.watch("GitOps commit", lambda: self._commit(4), explain=self._explain)
        chapter.watch("preview", lambda: self._phase_is("Removing"), explain=self._explain)
        chapter.say(
            "preview", "never Removed here: without a cluster nobody can see that it is gone"
        )

    def _show_status(self, github: StandInGitHub, chapter: Chapter) -> None:
        head_sha = github.pull_request(REPOSITORY, 1).head_sha

        def said() -> str:
            found = [
                s for s in github.statuses(REPOSITORY, head_sha) if s.description.startswith("Prov")
            ]
            return (
                f"{found[-1].context}: {found[-1].state}, {found[-1].description}" if found else ""
            )

        chapter.watch("commit status", said, explain=self._explain)
        chapter.watch(
            "comment",
            lambda: "one" if len(github.comments(REPOSITORY, 1)) == 1 else "",
            explain=self._explain,
        )

    def _record(self) -> PreviewRecord | None:
        return self._store.load(KEY)

    def _phase_is(self, phase: str) -> str:
        record = self._record()
        said = f": {record.message}" if record and record.message else ""
        return f"{phase}{said}" if record and record.phase == phase else ""

    def _explain(self) -> str:
        record = self._record()
        return f"{record.phase}: {record.reason} {record.message}" if record else "no record"

    def _commit(self, count: int) -> str:
        """The newest commit's subject when there are so many commits of ours."""
        subjects = self._git("log", "--format=%h %s", "--author=previews").splitlines()
        return subjects[0] if len(subjects) >= count else ""

    def _git(self, *arguments: str) -> str:
        return git("--git-dir", str(self._git_directory), *arguments)


def make_bare_repository(directory: Path) -> None:
    """A GitOps repository with a first commit, as a site would have."""
    git("init", "-q", "--bare", "-b", "main", str(directory))
    tree = git("--git-dir", str(directory), "mktree", text="").strip()
    identity = ("-c", "user.name=tour", "-c", "user.email=tour@example.invalid")
    commit = git("--git-dir", str(directory), *identity, "commit-tree", tree, "-m", "Begin").strip()
    git("--git-dir", str(directory), "update-ref", "refs/heads/main", commit)


def write_settings(directory: Path, github: StandInGitHub, repository: Path) -> Settings:
    """The configuration, as a person would write it."""
    (directory / "token").write_text(github.token)
    (directory / "secret").write_text(SECRET)
    path = directory / "previews.yaml"
    configuration = {
        "instance": "tour",
        "data_directory": str(directory / "data"),
        "forge": {
            "kind": "github",
            "api_url": github.url,
            "token_file": str(directory / "token"),
            "webhook_secret_files": [str(directory / "secret")],
        },
        "gitops": {"url": repository.as_uri()},
        "domain": {"zone": "preview.example"},
        "projects": [
            {
                "name": "shop",
                "repository": REPOSITORY,
                "image": {"repository": IMAGE},
                "deploy": {
                    "helm": {
                        "repository_url": "https://git.example/acme/charts.git",
                        "path": "preview-app",
                    }
                },
                "hostname": "pr-{number}.preview.example",
            }
        ],
    }
    path.write_text(yaml.safe_dump(configuration, sort_keys=False))
    (directory / "data").mkdir()
    return load_settings(path)


def git(*arguments: str, text: str | None = None) -> str:
    """What a git command prints."""
    done = subprocess.run(
        ["git", *arguments], input=text, capture_output=True, text=True, check=True
    )
    return done.stdout


def indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
