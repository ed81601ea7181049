"""What is done with what the door hears beside pull requests: CI, comments, pushes, and the button beside a check."""

from functools import partial

import structlog

from previews.domain.ports import Store
from previews.domain.preview import PreviewKey
from previews.domain.record import Delivery
from previews.errors import PreviewsError
from previews.reconcile.conversation import Rerun
from previews.reconcile.effects import Effect
from previews.reconcile.loop import Loop
from previews.reconcile.published import Doubt, PullRequestKey
from previews.web.builds import BuildNews
from previews.web.pushes import PushNews
from previews.web.talk import CommentNews, RerunNews, recall_rerun
from previews.web.webhooks import News

_log = structlog.get_logger("previews.news")


def hear(loop: Loop, instance: str, news: News, delivery: Delivery) -> None:
    """Have whatever it is about looked at. What gets lost on the way is found by a resync; a button is kept."""
    match news:
        case BuildNews():
            _hear_of_builds(loop, news)
        case CommentNews():
            _hear_of_comments(loop, news)
        case PushNews():
            for name in _names(loop, news.repository):
                loop.policies.pushed((name, news.branch))
        case RerunNews():
            try:
                _hear_of_buttons(loop, instance, news, delivery)
            except PreviewsError as error:
                # It is kept: whoever delivers it again has it heard, and so does the next start.
                _log.warning("button", reason=error.reason, message=error.message)


def take_up(loop: Loop, instance: str, store: Store) -> None:
    """Hear once more of the buttons that a former process heard of and did not see to."""
    for delivery in store.unfinished_deliveries():
        news = recall_rerun(delivery.event, delivery.body)
        if news is not None:
            hear(loop, instance, news, delivery)


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


def _hear_of_buttons(loop: Loop, instance: str, news: RerunNews, delivery: Delivery) -> None:
    """Whoever pressed it is asked about with the next readings; a button of no preview is done with."""
    previews = _meant(loop, instance, news)
    if not previews:
        loop.effects.perform(
            Effect.CLEAR_MARK,
            delivery.guid,
            partial(loop.world.store.finish_delivery, delivery.guid),
        )
        return
    wanted: dict[PullRequestKey, Rerun] = {}
    for name in _names(loop, news.repository):
        for number in {key.number for key in previews}:
            projects = tuple(key.project for key in previews if key.number == number)
            wanted[name, number] = Rerun(projects, news.sender, delivery.guid)
    loop.conversation.rerun(wanted)
    for place in wanted:
        # The forge shows it as queued from now on, whether or not whoever pressed it may.
        loop.look_at_again(place, Doubt.CHECK)


def _meant(loop: Loop, instance: str, news: RerunNews) -> list[PreviewKey]:
    """A check of ours names its preview; all checks of a commit are those of its pull requests."""
    known = {each.name for each in loop.repositories.projects_at(news.repository)}
    if news.external_id:
        try:
            named = PreviewKey.parse(news.external_id.removeprefix(f"previews:{instance}:"))
        except ValueError:
            return []
        return [named] if named.project in known else []
    if news.numbers:
        return [PreviewKey(project, number) for number in news.numbers for project in sorted(known)]
    return [
        record.key
        for record in loop.world.store.each_record()
        if record.key.project in known
        and record.pull_request is not None
        and record.pull_request.head_sha == news.head_sha
    ]


def _names(loop: Loop, repository: str) -> set[str]:
    """What the forge calls a repository now."""
    projects = loop.repositories.projects_at(repository)
    return {loop.repositories.name_of(each.repository) for each in projects}
