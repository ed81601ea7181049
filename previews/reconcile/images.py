"""The gate on the image: which one is a commit's, whether its registry has it, and what CI says while it does not come.

Nothing is deployed before the registry has the image; whoever knows that one was pushed only has the previews looked at
that wait for it. Who waits is known from the last look alone, so nothing of it need be stored.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from previews.domain.database import Trouble
from previews.domain.forge_ports import Forge
from previews.domain.images import NamedImage, image_name, path_of
from previews.domain.observation import Observation
from previews.domain.ports import Clock, Registry, Store
from previews.domain.preview import CIRun, HeadSha, Image, PreviewKey, PullRequest
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.errors import ActionRefusedError, PreviewsError, StalledError, TransientError
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.repositories import Repositories

RUNS_ASKED_EVERY = timedelta(minutes=1)
"""What a late image costs at the forge: one question for each preview."""


@dataclass(frozen=True, slots=True)
class _Asked:
    head_sha: HeadSha
    at: datetime
    run: CIRun | None


@dataclass(frozen=True, slots=True)
class _Pause:
    """What the registry answered, and until when nobody asks again: by a clock that may be set back meanwhile."""

    since: datetime
    until: datetime
    trouble: Trouble


class ImageGate:
    """Safe from any thread."""

    def __init__(
        self,
        *,
        projects: Mapping[str, Project],
        registry: Registry,
        forge: Forge,
        repositories: Repositories,
        store: Store,
        effects: Effects,
        clock: Clock,
        deadline: timedelta,
        enqueue: Callable[[Iterable[PreviewKey]], None],
    ) -> None:
        self._projects = projects
        self._registry = registry
        self._forge = forge
        self._repositories = repositories
        self._store = store
        self._effects = effects
        self._clock = clock
        self._deadline = deadline
        self._enqueue = enqueue
        self._lock = threading.Lock()
        self._heads: dict[PreviewKey, HeadSha] = {}
        """Of every preview that was looked at and is to have an image."""
        self._waiting: set[PreviewKey] = set()
        self._runs: dict[PreviewKey, _Asked] = {}
        self._pauses: dict[PreviewKey, _Pause] = {}
        """Until when a registry asked to be left alone."""

    # What others know.

    def name(
        self, project: str, head_sha: HeadSha, *, tag: str = "", digest: str = ""
    ) -> list[PreviewKey]:
        """Keep what CI calls the image of a commit, and look for it. Says which previews that is for.

        Refuses with ActionRefusedError a project that is not configured or has no image.
        """
        configured = self._projects.get(project)
        if configured is None:
            raise ActionRefusedError("UnknownProject", f"there is no project {project!r}")
        if configured.image_repository is None:
            raise ActionRefusedError(
                "NoImageConfigured",
                f"project {project} has no image: give it image.repository in the configuration",
            )
        named = NamedImage(
            project=project,
            head_sha=head_sha,
            tag=tag,
            digest=digest,
            named_at=self._clock.now(),
        )
        if not named.is_same_as(self._store.named_image(project, head_sha)):
            self._effects.perform(
                Effect.NAME_IMAGE,
                f"{project}@{head_sha}",
                lambda: self._store.name_image(named),
            )
        with self._lock:
            keys = [
                key
                for key, head in self._heads.items()
                if (key.project, head) == (project, head_sha)
            ]
        self._enqueue(keys)
        return sorted(keys)

    def pushed(self, paths: Iterable[str]) -> list[PreviewKey]:
        """Something was pushed to repositories of these names. Looks at whoever waits for one, and says who that is."""
        wanted = set(paths)
        projects = {
            name
            for name, project in self._projects.items()
            if project.image_repository and path_of(project.image_repository) in wanted
        }
        with self._lock:
            keys = [key for key in self._waiting if key.project in projects]
        self._enqueue(keys)
        return sorted(keys)

    def built(
        self, repository: str, numbers: Sequence[int], head_sha: HeadSha | None
    ) -> list[PreviewKey]:
        """CI did something for these pull requests or, if it names none, for a commit. Looks at whoever waits."""
        owners = {
            name
            for name, project in self._projects.items()
            if project.repository.casefold() == repository.casefold()
        }
        with self._lock:
            keys = [
                key
                for key in self._waiting
                if key.project in owners
                and (key.number in numbers if numbers else self._heads.get(key) == head_sha)
            ]
        self._enqueue(keys)
        return sorted(keys)

    # What a look at a preview finds.

    def add(
        self,
        project: Project,
        record: PreviewRecord,
        pull_request: PullRequest,
        seen: Observation,
        *,
        goes: bool,
    ) -> Observation:
        """Add the image of this head_sha. What was deployed is not asked for again: a tag that moves, moves nothing."""
        key, repository = record.key, project.image_repository
        if repository is None:
            return seen
        named = self._store.named_image(project.name, pull_request.head_sha)
        tag = named.tag if named else project.tag(pull_request.number, pull_request.head_sha)
        name = image_name(repository, tag, named.digest if named else "")
        seen = replace(seen, needs_image=True, image_name=name, image=None)
        if goes:
            with self._lock:
                self._heads.pop(key, None)
                self._waiting.discard(key)
                self._runs.pop(key, None)
                self._pauses.pop(key, None)
            return seen
        with self._lock:
            self._heads[key] = pull_request.head_sha
        image = _deployed(record, pull_request, name, named)
        if image is None:
            with self._lock:
                # Before it is asked for: what is pushed meanwhile is not missed.
                self._waiting.add(key)
            image, trouble = self._find(project, repository, tag, named, seen)
            if trouble is not None:
                return replace(seen, image_trouble=trouble)
        if image is None:
            return replace(seen, run=self._run(project, pull_request, seen))
        with self._lock:
            self._waiting.discard(key)
            self._runs.pop(key, None)
            self._pauses.pop(key, None)
        return replace(seen, image=image)

    def _find(
        self,
        project: Project,
        repository: str,
        tag: str,
        named: NamedImage | None,
        seen: Observation,
    ) -> tuple[Image | None, Trouble | None]:
        """The image, or why it cannot be said now whether it is there. That ends no wait, and is waited for as long."""
        now, digest = self._clock.now(), named.digest if named else ""
        with self._lock:
            pause = self._pauses.get(seen.key)
        if pause is not None and pause.since <= now < pause.until:
            return None, pause.trouble
        try:
            found = self._registry.find_image(repository, digest or tag, project.image_platform)
        except PreviewsError as error:
            trouble = Trouble(error.reason, error.message, isinstance(error, StalledError))
            asked = error.retry_after_seconds if isinstance(error, TransientError) else None
            with self._lock:
                self._pauses[seen.key] = _Pause(now, now + timedelta(seconds=asked or 0), trouble)
            return None, trouble
        if found is not None and tag and digest:
            found = replace(found, reference=f"{repository}:{tag}")
        return found, None

    def _is_late(self, seen: Observation) -> bool:
        return self._clock.now() - seen.head_since > self._deadline

    def _run(self, project: Project, pull_request: PullRequest, seen: Observation) -> CIRun | None:
        """What CI says of a commit whose image is late."""
        if not self._is_late(seen):
            return None
        now, head_sha = self._clock.now(), pull_request.head_sha
        with self._lock:
            before = self._runs.get(seen.key)
        if before is not None and before.head_sha != head_sha:
            before = None
        if before is not None and before.at <= now < before.at + RUNS_ASKED_EVERY:
            return before.run
        try:
            run = self._forge.find_run(self._repositories.name_of(project.repository), head_sha)
        except PreviewsError:
            # That the image is late is known without it.
            run = before.run if before else None
        with self._lock:
            self._runs[seen.key] = _Asked(head_sha, now, run)
        return run


def _deployed(
    record: PreviewRecord, pull_request: PullRequest, name: str, named: NamedImage | None
) -> Image | None:
    """What was decided to deploy for this commit, unless CI has named another since."""
    known = record.manifests
    if known is None or known.head_sha != pull_request.head_sha:
        return None
    if named is None:
        return known.image or Image(reference=name, digest="")
    return known.image if known.image and named.is_name_of(known.image) else None
