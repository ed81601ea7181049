"""Brings the projects' own secrets to their previews, and brings them anew when something else is in them.

A set is known by its id. What was sealed is carried forward, from the store or from Git, as long as its id is that of
what is to be in it now. Other secrets reach live previews a few at a time, like any change that nobody pushed.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

import structlog

from previews.domain.database import Secret, SecretKind, SecretType
from previews.domain.observation import SECRETS_FILE, Observation, Plan
from previews.domain.ports import Store
from previews.domain.preview import Parcel, PreviewKey, Stage
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.domain.resource_ports import SecretDelivery, SecretSource
from previews.domain.secret_set import (
    Content,
    SecretSet,
    as_part,
    ids_of,
    manifest_of,
    parts_of,
    wait_entry,
)
from previews.errors import PreviewsError
from previews.reconcile.branch import GitBranch
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.rollout import Rollout, is_well
from previews.reconcile.troubles import Troubles

LOOK_SECONDS = 10.0
"""How soon other content is noticed."""

_log = structlog.get_logger("previews.secrets")


class Parcels:
    """Safe from any thread; for one preview it is called by one of them at a time."""

    def __init__(
        self,
        source: SecretSource,
        deliveries: Mapping[SecretKind, SecretDelivery],
        *,
        projects: Mapping[str, Project],
        ownership: Callable[[PreviewKey], Mapping[str, str]],
        branch: GitBranch,
        store: Store,
        effects: Effects,
        rollout: Rollout,
        enqueue: Callable[[Iterable[PreviewKey]], None],
    ) -> None:
        self._source = source
        self._deliveries = deliveries
        self._projects = {name: each for name, each in projects.items() if each.secrets}
        self._labels = ownership
        self._branch = branch
        self._store = store
        self._effects = effects
        self._rollout = rollout
        self._enqueue = enqueue
        self._lock = threading.Lock()
        self._troubles = Troubles("previews.secrets")
        self._turns: set[PreviewKey] = set()
        """Those whose turn it is in a rollout, until their record says so."""
        self._seen: dict[str, object] = {}
        """What each project's sets were last, by id, or why that could not be told."""

    def observe(
        self, project: Project, record: PreviewRecord, seen: Observation, *, goes: bool
    ) -> Observation:
        """Add the project's own secrets to what was seen. `goes`: it is to have none any more."""
        key = record.key
        if goes:
            self._troubles.forget(key)
            return replace(seen, parcels=())
        if seen.needs_image and seen.image is None:
            return replace(seen, parcels=None)
        try:
            found = self._found(project, record, seen)
        except PreviewsError as error:
            self._troubles.note(key, error)
            # They were well when last looked at: what is away takes nothing down.
            found = _kept(project, record)
        return replace(
            seen,
            parcels=found,
            parcel_trouble=self._troubles.of(key),
            secret_problem=seen.secret_problem or self._problem(project, seen, found),
        )

    def work(
        self, project: Project, record: PreviewRecord, seen: Observation, decision: Plan
    ) -> PreviewRecord:
        """Send what is missing, as was decided. The record that comes back has what was sent."""
        with self._lock:
            is_its_turn = record.key in self._turns
            self._turns.discard(record.key)
        if is_its_turn:
            record = replace(record, is_rewritten=True)
        if seen.parcels is not None:
            # Perhaps found again in Git, after the store was lost.
            return replace(record, parcels=seen.parcels)
        return self._bring(project, record, seen) if decision.bring_parcels else record

    def look(self) -> None:
        """Read every project's sets, and have previews looked at whose content is another now."""
        changed = {name for name, each in self._projects.items() if self._is_changed(each)}
        if not changed:
            return
        try:
            records = self._store.list_records()
        except PreviewsError as error:
            _log.warning("store", reason=error.reason, message=error.message)
            with self._lock:
                # So that it is news once more.
                self._seen.update(dict.fromkeys(changed))
            return
        self._enqueue(
            record.key for record in records if record.key.project in changed and not record.is_gone
        )

    def run(self, stop: threading.Event) -> None:
        """Look until `stop`."""
        while self._projects and not stop.wait(LOOK_SECONDS):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - a bug must not end the looking in silence
                _log.exception("bug")

    def _is_changed(self, project: Project) -> bool:
        state: object
        try:
            state = tuple(content.id for _, content in self._read(project))
        except PreviewsError as error:
            state = error.reason, error.message
        with self._lock:
            before = self._seen.get(project.name, state)
            self._seen[project.name] = state
        return before != state

    def _read(self, project: Project) -> list[tuple[SecretSet, Content]]:
        """What is in each of the project's sets now. Nobody keeps it for longer than one use."""
        contents = [(each, self._source.read(project.name, each)) for each in project.secrets]
        with self._lock:
            # Whatever differs from what a preview was ever given is news to `look`.
            if project.name in self._projects:
                self._seen.setdefault(project.name, tuple(content.id for _, content in contents))
        return contents

    def _found(
        self, project: Project, record: PreviewRecord, seen: Observation
    ) -> tuple[Parcel, ...] | None:
        """All of them, if each is on its way as it should be now; None while one is not."""
        key, known = record.key, record.manifests
        contents = self._read(project)
        each_found = [self._under_way(project, record, seen, *each) for each in contents]
        parcels = tuple(each for each in each_found if each is not None)
        found = parcels if len(parcels) == len(contents) else None
        if known is not None and found != known.parcels and is_well(record):
            if not self._rollout.may_rewrite(key):
                return known.parcels
            with self._lock:
                self._turns.add(key)
        if found is not None:
            self._troubles.forget(key)
        return found

    def _under_way(
        self,
        project: Project,
        record: PreviewRecord,
        seen: Observation,
        wanted: SecretSet,
        content: Content,
    ) -> Parcel | None:
        """The set as it is on its way already, or is there; None if it has to be sent."""
        key, delivery = record.key, self._deliveries[wanted.kind]
        namespace = project.names(key.number).namespace
        parcel = Parcel(name=wanted.name, id=content.id, kind=wanted.kind.value)
        if wanted.kind is SecretKind.KUBERNETES:
            if seen.namespace is None:
                # There is nowhere to put it yet. Its id is known all the same: pods are not rolled out twice.
                return parcel
            said = delivery.credential_of(key, namespace, wanted.name, "")
            return parcel if said == content.id else None
        for part in self._parts(record, wanted.name):
            said = delivery.credential_of(key, namespace, wanted.name, manifest_of(part))
            if said == content.id:
                return replace(parcel, file=part)
        return None

    def _parts(self, record: PreviewRecord, name: str) -> Iterable[str]:
        """Where it may stand: what was sent last, and what is in Git, which is read only if that does not do."""
        carried = record.manifests.parcels if record.manifests else ()
        yield from dict.fromkeys(
            each.file for each in (*record.parcels, *carried) if each.name == name and each.file
        )
        known = "".join(each.file for each in carried)
        in_git = self._branch.text_in_git(record.key, SECRETS_FILE, known or None) or ""
        if in_git != known:
            yield from parts_of(in_git)

    def _bring(self, project: Project, record: PreviewRecord, seen: Observation) -> PreviewRecord:
        """Send what is missing. What goes wrong is kept as the preview's trouble; what was sent is kept as well."""
        brought: list[Parcel] = []
        try:
            for wanted, content in self._read(project):
                parcel = self._under_way(project, record, seen, wanted, content)
                brought.append(parcel or self._deliver(project, record.key, wanted, content))
        except PreviewsError as error:
            self._troubles.note(record.key, error)
            later = [each for each in record.parcels if each.name not in ids_of(brought)]
            return replace(record, parcels=(*brought, *later))
        return replace(record, parcels=tuple(brought))

    def _deliver(
        self, project: Project, key: PreviewKey, wanted: SecretSet, content: Content
    ) -> Parcel:
        data = dict(content.data)
        if data and wanted.type is SecretType.OPAQUE:
            # A pod that needs the entry of its own content waits for it, and never starts with an older one.
            data[wait_entry(content.id)] = "present"
        secret = Secret(
            key=key,
            namespace=project.names(key.number).namespace,
            name=wanted.name,
            credential=content.id,
            labels=self._labels(key),
            data=data,
            type=wanted.type,
            remote=wanted.remote,
        )
        delivery = self._deliveries[wanted.kind]
        manifest = self._effects.perform(
            Effect.DELIVER_SECRET, key, partial(delivery.deliver, secret)
        )
        file = as_part(manifest) if manifest else ""
        return Parcel(name=wanted.name, id=content.id, kind=wanted.kind.value, file=file)

    def _problem(
        self, project: Project, seen: Observation, found: tuple[Parcel, ...] | None
    ) -> str:
        """Why one has not arrived. Asked for only while pods do not come up: they wait for it."""
        application = seen.application
        if (
            application is None
            or application.health == "Healthy"
            or not application.proven_for_spec
        ):
            return ""
        namespace = project.names(seen.key.number).namespace
        try:
            for each in found or ():
                delivery = self._deliveries.get(SecretKind(each.kind))
                if delivery and (said := delivery.problem(namespace, each.name)):
                    return said
        except PreviewsError:
            # That the workload is not healthy is known without it.
            return ""
        return ""


def _kept(project: Project, record: PreviewRecord) -> tuple[Parcel, ...] | None:
    """Those that the preview has, if they are the ones that it is to have, whatever is in them."""
    known = record.manifests
    if known is None or known.stage is not Stage.WHOLE:
        return None
    wanted = {(each.name, each.kind.value) for each in project.secrets}
    return known.parcels if {(each.name, each.kind) for each in known.parcels} == wanted else None
