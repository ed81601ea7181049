"""What is done with what the door hears and does not store: CI, comments, and the button beside a check."""

from previews.domain.ports import Clock
from previews.domain.preview import PreviewKey
from previews.reconcile.conversation import Rerun
from previews.reconcile.loop import Loop
from previews.reconcile.published import Doubt
from previews.web.builds import BuildNews
from previews.web.talk import CommentNews, RerunNews
from previews.web.webhooks import News


def hear(loop: Loop, clock: Clock, instance: str, news: News) -> None:
    """Have whatever it is about looked at. What gets lost on the way is found by a resync, but for a button."""
    match news:
        case BuildNews():
            _hear_of_builds(loop, news)
        case CommentNews():
            _hear_of_comments(loop, news)
        case RerunNews():
            _hear_of_buttons(loop, clock, instance, news)


def _hear_of_builds(loop: Loop, news: BuildNews) -> None:
    """Whoever waits for an image is looked at."""
    if news.image_path:
        loop.images.pushed([news.image_path])
    for name in {each.repository for each in loop.repositories.projects_at(news.repository)}:
        loop.images.built(name, news.numbers, news.head_sha)


def _hear_of_comments(loop: Loop, news: CommentNews) -> None:
    for name in _names(loop, news.repository):
        if news.is_ours:
            loop.look_at_again((name, news.number), Doubt.COMMENT)
        else:
            loop.conversation.hear((name, news.number))


def _hear_of_buttons(loop: Loop, clock: Clock, instance: str, news: RerunNews) -> None:
    """A check of ours names its preview; all checks of a commit are those of its pull requests."""
    known = {each.name for each in loop.repositories.projects_at(news.repository)}
    previews = [PreviewKey(project, number) for number in news.numbers for project in sorted(known)]
    if news.external_id:
        try:
            named = PreviewKey.parse(news.external_id.removeprefix(f"previews:{instance}:"))
        except ValueError:
            return
        previews = [named] if named.project in known else []
    for name in _names(loop, news.repository):
        for key in previews:
            rerun = Rerun((key.project,), news.sender, clock.now())
            loop.conversation.rerun((name, key.number), rerun)
            # The forge shows it as queued from now on, whether or not whoever pressed it may.
            loop.look_at_again((name, key.number), Doubt.CHECK)


def _names(loop: Loop, repository: str) -> set[str]:
    """What the forge calls a repository now."""
    projects = loop.repositories.projects_at(repository)
    return {loop.repositories.name_of(each.repository) for each in projects}
