"""What the demo does and watches: open, push, order, close. Each line is the answer of the part that it names."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from previews.domain.naming import database_name, short_sha
from tests.demo.stages import Chapter
from tests.world.pull_request import Page, PullRequest
from tests.world.visitor import Visitor
from tests.world.world import World

BRANCH = "winter-sale"
FIRST = Page("Winter sale", "Everything is a third off until Sunday.", "#0f766e")
OTHER_BRANCH = "spring-sale"
OTHER = Page("Spring sale", "Flowers for everybody.", "#a16207")
ORDER = "A red scarf"
SECOND = Page("Winter sale: last days", "Now everything is half off.", "#b91c1c")

Object = dict[str, Any]


def open_and_watch(world: World) -> tuple[PullRequest, Chapter]:
    """A pull request is opened, its CI runs, and its page answers."""
    head_sha = world.push_branch(BRANCH, FIRST)
    chapter = Chapter("A pull request is opened")
    pull_request = world.propose(BRANCH, head_sha, title=FIRST.title, text=FIRST.text)
    opened = f"#{pull_request.number} {FIRST.title!r} at {short_sha(pull_request.head_sha)}"
    chapter.say("Gitea", f"{opened}  {pull_request.opened.url}")
    watch = _watcher(chapter, pull_request)
    watch("previews", lambda: _phase(pull_request, "WaitingForImage"))
    pull_request.build_image()
    chapter.say("CI", f"built and pushed {world.images.reference}:{pull_request.tag}")
    watch("GitOps", lambda: _commit_with(world, pull_request))
    watch("Argo CD", lambda: _application(pull_request, {"exists"}))
    watch("Argo CD", lambda: _application(pull_request, {"Synced"}))
    watch("Argo CD", lambda: _application(pull_request, {"Synced", "Healthy"}))
    watch("page", lambda: _page(pull_request, FIRST))
    watch("previews", lambda: _phase(pull_request, "Live"))
    watch("commit status", lambda: _status(pull_request, "success"))
    watch("comment", lambda: _comment(pull_request, pull_request.url))
    print(f"  conditions, as the API has them: {_conditions(pull_request, chapter)}")
    return pull_request, chapter


def push_and_watch(world: World, pull_request: PullRequest) -> Chapter:
    """A second commit: the page changes, and nobody sees an error meanwhile."""
    old = pull_request.head_sha
    with Visitor(pull_request.url) as visitor:
        chapter = Chapter("A second commit is pushed; a visitor asks for the page all the time")
        pull_request.push(SECOND, image=False)
        chapter.say("Gitea", f"head is {short_sha(pull_request.head_sha)} now")
        pull_request.build_image()
        chapter.say("CI", f"built and pushed {world.images.reference}:{pull_request.tag}")
        watch = _watcher(chapter, pull_request)
        watch("GitOps", lambda: _commit_with(world, pull_request))
        watch("page", lambda: _page(pull_request, SECOND))
        watch("previews", lambda: _phase(pull_request, "Live"))
        watch("commit status", lambda: _status(pull_request, "success"))
        watch("Kubernetes", lambda: _old_pods_gone(pull_request))
    failures = visitor.failures()
    saw = visitor.saw({"old": old, "new": pull_request.head_sha})
    chapter.say(
        "visitor",
        f"{len(visitor.visits)} requests: {saw['old']} saw the old page, {saw['new']} the new one, "
        f"{len(failures)} failed",
    )
    if failures or not saw["old"] or not saw["new"]:
        raise AssertionError(f"the visitor should have seen both pages and no failure: {failures}")
    return chapter


def order_and_watch(world: World, pull_request: PullRequest) -> Chapter:
    """A second pull request has a database of its own: what is ordered in one is not in the other."""
    chapter = Chapter("Somebody orders in one preview; another has a database of its own")
    other = world.open_pull_request(OTHER_BRANCH, OTHER)
    chapter.say("Gitea", f"#{other.number} {OTHER.title!r}  {other.opened.url}")
    watch = _watcher(chapter, other)
    watch("previews", lambda: _phase(other, "Live"))
    both = {pull_request: pull_request.orders(), other: other.orders()}
    for each, orders in both.items():
        chapter.say(f"page of #{each.number}", _listed(orders))
    ordered = pull_request.order(ORDER)
    chapter.say("visitor", f"orders {ORDER!r} at #{pull_request.number}: {ordered}")
    chapter.say(f"page of #{pull_request.number}", _listed(pull_request.orders()))
    chapter.say(f"page of #{other.number}", _listed(other.orders()))
    if pull_request.orders() != [ORDER, *both[pull_request]] or other.orders() != both[other]:
        raise AssertionError("the order should be in the one preview's database, and in no other")
    other.close()
    chapter.say("Gitea", f"#{other.number} is closed")
    watch("PostgreSQL", lambda: _no_database(world, other))
    watch("previews", lambda: _phase(other, "Removed"))
    return chapter


def close_and_watch(world: World, pull_request: PullRequest) -> Chapter:
    """The pull request is closed, and nothing is left."""
    chapter = Chapter("The pull request is closed")
    pull_request.close()
    chapter.say("Gitea", f"#{pull_request.number} is closed")
    watch_removal(world, pull_request, chapter)
    return chapter


def watch_removal(world: World, pull_request: PullRequest, chapter: Chapter) -> None:
    """Somebody closed it: see it go."""
    names = pull_request.names
    watch = _watcher(chapter, pull_request)
    watch("Argo CD", lambda: _gone("Application", names.application, pull_request.application))
    watch("Kubernetes", lambda: _gone("namespace", names.namespace, pull_request.namespace))
    watch("Argo CD", lambda: _gone("AppProject", names.app_project, pull_request.app_project))
    watch("GitOps", lambda: _gone("folder", pull_request.folder, pull_request.files))
    if world.databases:
        watch("PostgreSQL", lambda: _no_database(world, pull_request))
    watch("page", lambda: _no_page(pull_request))
    watch("previews", lambda: _phase(pull_request, "Removed"))
    watch("commit status", lambda: _status(pull_request, "success", "removed"))
    watch("comment", lambda: _comment(pull_request, "removed"))
    print(f"  GitOps history: {', '.join(_subjects(world))}")


def _watcher(
    chapter: Chapter, pull_request: PullRequest
) -> Callable[[str, Callable[[], str]], None]:
    def watch(who: str, ask: Callable[[], str]) -> None:
        chapter.watch(who, ask, explain=pull_request.explain)

    return watch


def _phase(pull_request: PullRequest, phase: str) -> str:
    preview = pull_request.preview()
    of_this_commit = preview.get("head_sha") == pull_request.head_sha
    if preview.get("phase") != phase or not of_this_commit:
        return ""
    return f"{phase}: {preview['message']}" if preview["message"] else phase


def _commit_with(world: World, pull_request: PullRequest) -> str:
    trailer = f"Preview: {pull_request.key} "
    for commit in world.gitea.commits(world.gitops_repository, limit=5):
        message = commit["commit"]["message"]
        if trailer in message and pull_request.head_sha in message:
            return f"{short_sha(commit['sha'])} {message.partition(chr(10))[0]!r}"
    return ""


def _application(pull_request: PullRequest, wanted: set[str]) -> str:
    application = pull_request.application()
    if application is None:
        return ""
    status = application.get("status", {})
    states = (status.get("sync", {}).get("status"), status.get("health", {}).get("status"))
    if not wanted <= {"exists", *states}:
        return ""
    shown = ", ".join(state for state in states if state) or "created"
    return f"Application {pull_request.names.application}: {shown}"


def _page(pull_request: PullRequest, page: Page) -> str:
    answer = pull_request.page()
    if answer.status is None or pull_request.head_sha not in answer.body:
        return ""
    title = "" if page.title not in answer.body else f" and {page.title!r}"
    return f"{answer} with {short_sha(pull_request.head_sha)}{title}  {pull_request.url}"


def _no_page(pull_request: PullRequest) -> str:
    answer = pull_request.page()
    return str(answer) if answer.status == 404 else ""


def _status(pull_request: PullRequest, state: str, word: str = "") -> str:
    status = pull_request.status()
    if status.get("status") != state or word not in status["description"]:
        return ""
    return f"{state}: {status['description']}  {status['target_url']}".rstrip()


def _comment(pull_request: PullRequest, text: str) -> str:
    comments = pull_request.comments()
    if not any(text in comment for comment in comments):
        return ""
    return f"{len(comments)} by {pull_request.bot}, with {text}"


def _old_pods_gone(pull_request: PullRequest) -> str:
    only_new = pull_request.tags_of_pods() == {pull_request.tag}
    return f"only pods of {pull_request.tag} are left" if only_new else ""


def _gone(kind: str, name: str, find: Callable[[], Object | Sequence[str] | None]) -> str:
    return "" if find() else f"{kind} {name} is gone"


def _no_database(world: World, pull_request: PullRequest) -> str:
    key = pull_request.key
    if world.databases is None or world.databases.leftovers(key):
        return ""
    return f"database and role {database_name(key)} are gone"


def _listed(orders: Sequence[str]) -> str:
    return ", ".join(repr(order) for order in orders)


def _conditions(pull_request: PullRequest, chapter: Chapter) -> str:
    since = {
        condition["type"]: datetime.fromisoformat(condition["since"]).timestamp()
        for condition in pull_request.preview()["conditions"]
        if condition["status"]
    }
    return ", ".join(f"{kind} {at - chapter.started_at:.2f} s" for kind, at in since.items())


def _subjects(world: World) -> list[str]:
    commits = world.gitea.commits(world.gitops_repository, limit=10)
    return [repr(commit["commit"]["message"].partition("\n")[0]) for commit in reversed(commits)]
