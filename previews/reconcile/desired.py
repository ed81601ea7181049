"""Decides which files a preview should have in Git, keeps that, and only then has it written."""

import threading
from collections.abc import Callable
from dataclasses import replace

from previews.domain.observation import NAMESPACE_FILE, Observation
from previews.domain.ports import Clock, Renderer
from previews.domain.preview import Manifests, Mode, Phase, PreviewKey, PullRequest, Stage
from previews.domain.record import PreviewRecord
from previews.reconcile.branch import GitBranch
from previews.reconcile.lifetimes import Outlook
from previews.reconcile.rollout import Rollout
from previews.reconcile.writer import GitOpsWriter


class Desired:
    """Called by several threads, for one preview by one of them at a time."""

    def __init__(
        self,
        *,
        renderer: Renderer,
        branch: GitBranch,
        writer: GitOpsWriter,
        clock: Clock,
        rollout: Rollout,
        save: Callable[[PreviewRecord], None],
    ) -> None:
        self._renderer = renderer
        self._branch = branch
        self._writer = writer
        self._clock = clock
        self._rollout = rollout
        self._save = save
        self._lock = threading.Lock()
        self._rendered: set[PreviewKey] = set()
        """In this process: what a former one decided may have been under another configuration."""
        self._held_back: set[PreviewKey] = set()
        self._told: dict[PreviewKey, int] = {}
        """What the writer was told last of each."""

    def is_held_back(self, key: PreviewKey) -> bool:
        """Whether it waits for its turn in a rollout. Until then it does not fall asleep: it would wake up changed."""
        with self._lock:
            return key in self._held_back

    def want(
        self,
        record: PreviewRecord,
        pull_request: PullRequest,
        seen: Observation,
        outlook: Outlook,
        mode: Mode,
    ) -> PreviewRecord:
        """Decide what should be in Git, keep that, and only then have it written."""
        key, known = record.key, record.manifests
        redeployed_at = _redeployed_at(outlook)
        same = (
            known is not None
            and known.stage is Stage.WHOLE
            and known.head_sha == pull_request.head_sha
            and known.mode is mode
            and known.redeployed_at == redeployed_at
            and known.grant == seen.grant
            and known.image == seen.image
            and known.parcels == (seen.parcels or ())
        )
        with self._lock:
            rendered = key in self._rendered
        manifests = known
        if known is None or not (rendered and same and known.annotations == outlook.annotations):
            manifests = self._renderer.render_preview(
                pull_request,
                key,
                mode=mode,
                redeployed_at=redeployed_at,
                annotations=outlook.annotations,
                grant=seen.grant,
                image=seen.image,
                parcels=seen.parcels or (),
            )
            is_rewrite = (
                not rendered
                and known is not None
                and self._is_rewrite(key, pull_request, known, manifests)
            )
            record = self._change(record, manifests, seen, is_rewrite=is_rewrite)
            manifests = record.manifests
        if manifests is not None:
            self._tell(key, manifests, pull_request.author)
        return record

    def _is_rewrite(
        self, key: PreviewKey, pull_request: PullRequest, known: Manifests, wanted: Manifests
    ) -> bool:
        """Whether other templates are why they differ. Who is pushed to, or woken, does not wait for that."""
        unasked = (
            known.stage is Stage.WHOLE
            and known.head_sha == wanted.head_sha
            and known.redeployed_at == wanted.redeployed_at
            and known.grant == wanted.grant
            and known.image == wanted.image
            and known.parcels == wanted.parcels
            and wanted.mode in {known.mode, Mode.ASLEEP}
        )
        if not unasked or known.mode is wanted.mode:
            return unasked
        as_before = self._renderer.render_preview(
            pull_request,
            key,
            mode=known.mode,
            redeployed_at=known.redeployed_at,
            annotations=known.annotations,
            grant=known.grant,
            image=known.image,
            parcels=known.parcels,
        )
        return as_before.digest != known.digest

    def _change(
        self, record: PreviewRecord, manifests: Manifests, seen: Observation, *, is_rewrite: bool
    ) -> PreviewRecord:
        """Take these manifests, unless it is not their turn."""
        key, known = record.key, record.manifests
        deploys = known is None or known.digest != manifests.digest
        is_rewrite = is_rewrite and deploys and seen.was in {Phase.LIVE, Phase.ASLEEP}
        if is_rewrite and not self._rollout.may_rewrite(key):
            with self._lock:
                self._held_back.add(key)
            return record
        if manifests != known:
            record = replace(
                record,
                manifests=manifests,
                manifests_since=self._clock.now() if deploys else record.manifests_since,
                is_rewritten=is_rewrite or record.is_rewritten,
            )
            self._save(record)
        with self._lock:
            # Not before it is kept: if that fails, the next look has to decide the same again.
            self._held_back.discard(key)
            self._rendered.add(key)
        return record

    def want_less(self, record: PreviewRecord, stage: Stage) -> PreviewRecord:
        """What stays of a preview that is being removed stays as it stands in Git: nothing is rendered for it."""
        key, known = record.key, record.manifests
        if known is None or known.stage is not stage:
            text = self._namespace_file(key, known) if stage is Stage.NAMESPACE else None
            files = {NAMESPACE_FILE: text} if text is not None else {}
            manifests = Manifests(stage, "", None, files)
            changed = replace(record, manifests=manifests, manifests_since=self._clock.now())
            self._save(changed)
            record = changed
        with self._lock:
            self._rendered.discard(key)
        if record.manifests:
            author = record.pull_request.author if record.pull_request else ""
            self._tell(key, record.manifests, author)
        return record

    def keep(self, record: PreviewRecord, seen: Observation) -> None:
        """Have the writer guard what a former process decided, where nothing is to change now.

        A store of yesterday may not overwrite Git. So Git must hold exactly that or, where files of it are missing,
        nothing else, while Argo CD still deploys just that.
        """
        key, known = record.key, record.manifests
        with self._lock:
            if known is None or known.stage is not Stage.WHOLE or key in self._told:
                return
        wanted = {name: self._branch.blob_id(text) for name, text in known.files.items()}
        there = self._branch.files_in_git(key)
        application = seen.application
        stands = (
            application is not None
            and not application.deleting
            and (application.owner, application.digest) == (key, known.digest)
        )
        if there == wanted or (stands and there.items() <= wanted.items()):
            self._tell(key, known, record.pull_request.author if record.pull_request else "")

    def _namespace_file(self, key: PreviewKey, known: Manifests | None) -> str | None:
        """As we know it, or as it stands in Git if that is one: no manifest would stop everything in its shard."""
        text = known.files.get(NAMESPACE_FILE) if known else None
        in_git = self._branch.text_in_git(key, NAMESPACE_FILE, text)
        if in_git is None or text is not None:
            return text if in_git is not None else None
        return in_git if self._renderer.read_annotations(in_git) else None

    def _tell(self, key: PreviewKey, manifests: Manifests, author: str) -> None:
        """Have the writer know them, so that it writes them, and mends what others change."""
        said = hash((manifests.stage, manifests.digest, frozenset(manifests.annotations.items())))
        with self._lock:
            is_known = self._told.get(key) == said
            self._told[key] = said
        if not is_known or not self._branch.is_written(key, manifests):
            self._writer.submit(key, manifests, author)


def _redeployed_at(outlook: Outlook) -> str:
    """The last time that somebody asked this very preview to be rolled out anew."""
    asked = outlook.wishes.redeploy
    return asked.at.isoformat() if asked and asked.at > outlook.facts.created_at else ""
