"""Brings the secrets of databases to their previews, in each project's way, and takes them back."""

from collections.abc import Callable, Mapping
from functools import partial

from previews.domain.database import DatabasePolicy, Login, Secret, SecretKind
from previews.domain.observation import Observation
from previews.domain.preview import Grant, PreviewKey, Trace
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.domain.resource_ports import SecretDelivery
from previews.errors import PreviewsError
from previews.reconcile.effects import Effect, Effects


class Delivery:
    """Safe from any thread."""

    def __init__(
        self,
        deliveries: Mapping[SecretKind, SecretDelivery],
        ownership: Callable[[PreviewKey], Mapping[str, str]],
        effects: Effects,
    ) -> None:
        self._deliveries = deliveries
        self._labels = ownership
        self._effects = effects

    def credential_of(
        self, project: Project, policy: DatabasePolicy, key: PreviewKey, manifest: str
    ) -> str:
        """The id of the secret that is under way or there, with this manifest in Git; empty if there is none."""
        namespace = project.names(key.number).namespace
        delivery = self._deliveries[policy.secret_kind]
        return delivery.credential_of(key, namespace, policy.secret_name, manifest)

    def problem(self, project: Project | None, seen: Observation) -> str:
        """Why a secret has not arrived. Asked for only while pods do not come up: they wait for it."""
        policy, application = project.database if project else None, seen.application
        if project is None or policy is None or application is None:
            return ""
        if application.health == "Healthy" or not application.proven_for_spec:
            return ""
        try:
            namespace = project.names(seen.key.number).namespace
            return self._deliveries[policy.secret_kind].problem(namespace, policy.secret_name)
        except PreviewsError:
            # That the workload is not healthy is known without it.
            return ""

    def deliver(
        self,
        project: Project,
        policy: DatabasePolicy,
        key: PreviewKey,
        credential: str,
        login: Login,
    ) -> str:
        """Send it on its way. Comes back with the manifest for Git."""
        secret = Secret(
            key=key,
            namespace=project.names(key.number).namespace,
            name=policy.secret_name,
            credential=credential,
            labels=self._labels(key),
            # A pod that needs the key of its own credential waits for it, and never starts with an older secret.
            data=login.variables() | {f"credential-{credential}": "present"},
        )
        return self._effects.perform(
            Effect.DELIVER_SECRET,
            key,
            lambda: self._deliveries[policy.secret_kind].deliver(secret),
        )

    def leave_other_ways(self, policy: DatabasePolicy, key: PreviewKey, before: Grant) -> None:
        """Take back what was delivered another way than the present one. What is in the namespace stays for now."""
        way = SecretKind(before.secret_kind), before.secret_name
        delivery = self._deliveries.get(way[0])
        if delivery is not None and way != (policy.secret_kind, policy.secret_name):
            self._effects.perform(
                Effect.WITHDRAW_SECRET, key, partial(delivery.withdraw, key, way[1])
            )

    def withdraws(self, trace: Trace) -> bool:
        """Whether the secret of such a trace lies in a store that it can be taken out of."""
        delivery = self._way(trace.secret_kind)
        return delivery is not None and delivery.withdraws

    def withdraw_from(self, projects: Mapping[str, Project], key: PreviewKey) -> None:
        """What one of these projects delivered for a database that nobody remembers anything of."""
        project = projects.get(key.project)
        self.withdraw(project.database if project else None, PreviewRecord(key=key))

    def withdraw(self, policy: DatabasePolicy | None, record: PreviewRecord) -> None:
        """Also what was delivered in another way than the present one, or for a project that is not configured."""
        ways = {(trace.secret_kind, trace.secret_name) for trace in traces_of(record)}
        if policy is not None:
            ways.add((policy.secret_kind.value, policy.secret_name))
        for kind, name in sorted(ways):
            delivery = self._way(kind)
            if delivery is not None:
                self._effects.perform(
                    Effect.WITHDRAW_SECRET, record.key, partial(delivery.withdraw, record.key, name)
                )

    def _way(self, kind: str) -> SecretDelivery | None:
        """None for one that no project takes any more."""
        return self._deliveries.get(SecretKind(kind)) if kind else None


def traces_of(record: PreviewRecord) -> set[Trace]:
    """What its database was granted, what its manifests still name, and what was noted besides."""
    carried = record.manifests.grant if record.manifests else None
    granted = {grant.trace for grant in (record.grant, carried) if grant}
    return granted | set(record.traces)
