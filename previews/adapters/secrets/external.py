"""Secrets that lie in a store, such as AWS Secrets Manager, and are fetched into the cluster by external-secrets.

Git holds where each lies. A site's own command puts the values of databases there; a project's own secrets lie there
already, and are referred to.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from previews.adapters.kubernetes_answers import Raw
from previews.adapters.kubernetes_api import KubernetesAPI, Resource
from previews.adapters.secrets import store_command
from previews.adapters.secrets.conditions import Reading, problem_of
from previews.adapters.secrets.manifest import (
    OPEN_TO_SEALED,
    credential,
    mapping,
    read,
    write,
)
from previews.domain import labels
from previews.domain.database import Secret, SecretType
from previews.domain.hosts import placeholders
from previews.domain.preview import PreviewKey
from previews.domain.secret_set import DOCKER_CONFIG_ENTRY, remote_id, wait_entry

KIND = "ExternalSecret"
API_VERSION = "external-secrets.io/v1"
DEFAULT_REMOTE_KEY = "previews/{instance}/{project}/pr-{number}/{name}"
COMMAND_SECONDS = 30.0
_DEFAULTS = {"conversionStrategy": "Default", "decodingStrategy": "None", "metadataPolicy": "None"}
"""Spelled out as the API server would add them: to Argo CD an entry of a list that differs is out of sync for ever."""
_NOTHING: Mapping[str, object] = {}
_READING = Reading(
    kind=KIND,
    condition="Ready",
    observed="syncedResourceVersion",
    who="the external-secrets controller",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretStore:
    """Where the values lie, and how they get there."""

    name: str
    """Of the ClusterSecretStore or SecretStore that external-secrets reads it through."""
    put_command: Sequence[str] = ()
    """Program and arguments, `{key}` in them being the entry. Its standard input is the values, as one JSON object."""
    delete_command: Sequence[str] = ()
    """The same, without values; it must succeed where there is no entry. Empty: entries are left behind."""
    kind: str = "ClusterSecretStore"
    remote_key: str = DEFAULT_REMOTE_KEY
    refresh_interval: timedelta = timedelta(hours=1)
    command_seconds: float = COMMAND_SECONDS


class ExternalSecrets:
    """`domain.resource_ports.SecretDelivery` by ExternalSecrets. Safe from any thread."""

    def __init__(self, *, api: KubernetesAPI, instance: str, store: SecretStore) -> None:
        self._api = api
        self._instance = instance
        self._store = store

    @property
    def withdraws(self) -> bool:
        return bool(self._store.delete_command)

    def deliver(self, secret: Secret) -> str:
        if secret.remote:
            return write(self._manifest(secret, **_reference_to(secret)))
        remote_key = self._remote_key(secret.key, secret.name)
        store_command.run(
            self._store.put_command,
            key=remote_key,
            stream=json.dumps(dict(secret.data)),
            secrets=secret.data.values(),
            timeout_seconds=self._store.command_seconds,
        )
        entries = [
            {
                "secretKey": entry,
                "remoteRef": {"key": remote_key, "property": entry, **_DEFAULTS},
            }
            for entry in sorted(secret.data)
        ]
        return write(self._manifest(secret, source={"data": entries}))

    def credential_of(self, key: PreviewKey, namespace: str, name: str, manifest: str) -> str:
        """Empty as well when the store is another one by now, or the entry in it."""
        found = read(manifest, KIND, namespace=namespace, name=name)
        if found is None or found.get("apiVersion") != API_VERSION:
            return ""
        said, places = credential(found), _places(found)
        # What lies there already is known by its place, and the id is made of that.
        is_there = places == {self._remote_key(key, name)} or {*map(remote_id, places)} == {said}
        is_meant = mapping(found, "spec", "secretStoreRef") == self._reference()
        return said if is_there and is_meant else ""

    def problem(self, namespace: str, name: str) -> str:
        place = f" in namespace {namespace}"
        path = f"/apis/{API_VERSION}/namespaces/{namespace}/externalsecrets"
        found = self._api.fetch(Resource("externalsecrets.external-secrets.io", path, place), name)
        return problem_of(found, _READING, namespace=namespace, name=name)

    def withdraw(self, key: PreviewKey, name: str) -> None:
        if self._store.delete_command:
            store_command.run(
                self._store.delete_command,
                key=self._remote_key(key, name),
                stream="",
                secrets=(),
                timeout_seconds=self._store.command_seconds,
            )

    def _remote_key(self, key: PreviewKey, name: str) -> str:
        return self._store.remote_key.format(
            instance=self._instance, project=key.project, number=key.number, name=name
        )

    def _reference(self) -> Raw:
        return {"kind": self._store.kind, "name": self._store.name}

    def _manifest(
        self,
        secret: Secret,
        *,
        source: Mapping[str, object],
        policy: str = "Replace",
        more: Mapping[str, object] = _NOTHING,
    ) -> dict[str, object]:
        noted = {labels.CREDENTIAL: secret.credential}
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "name": secret.name,
                "namespace": secret.namespace,
                "labels": secret.labels,
                "annotations": noted,
            },
            "spec": {
                "refreshInterval": go_duration(self._store.refresh_interval),
                "secretStoreRef": self._reference(),
                "target": {
                    "name": secret.name,
                    "creationPolicy": "Owner",
                    "deletionPolicy": "Retain",
                    # It differs with each credential, which makes the controller fetch at once.
                    "template": {
                        "engineVersion": "v2",
                        "mergePolicy": policy,
                        "metadata": {
                            "labels": secret.labels,
                            "annotations": noted | OPEN_TO_SEALED,
                        },
                        "type": secret.type.value,
                        **more,
                    },
                },
                **source,
            },
        }


def _reference_to(secret: Secret) -> dict[str, Any]:
    """What brings an entry of the store as it is: all its properties, or its text as the one that a node reads."""
    if secret.type is SecretType.DOCKER_CONFIG:
        place = {"key": secret.remote, **_DEFAULTS}
        entry = {"secretKey": DOCKER_CONFIG_ENTRY, "remoteRef": place}
        return {"source": {"data": [entry]}}
    return {
        "source": {"dataFrom": [{"extract": {"key": secret.remote, **_DEFAULTS}}]},
        # Beside what is fetched: what pods wait for.
        "policy": "Merge",
        "more": {"data": {wait_entry(secret.credential): "present"}},
    }


def _places(found: Raw) -> set[str]:
    """The entries of the store that an ExternalSecret names."""
    spec = mapping(found, "spec")
    places = set()
    for source, part in (("data", "remoteRef"), ("dataFrom", "extract")):
        entries = spec.get(source)
        for entry in entries if isinstance(entries, list) else []:
            places.add(str(mapping(entry, part).get("key")))
    return places


def check_remote_key(pattern: str) -> None:
    """Raises ValueError, in words for the person who wrote the configuration."""
    known, needed = {"instance", "project", "number", "name"}, {"project", "number"}
    found = set(placeholders(pattern))
    if not needed <= found <= known:
        raise ValueError(
            f"{pattern!r} must contain {{project}} and {{number}}, and may contain {{instance}} and {{name}}"
        )


def go_duration(interval: timedelta) -> str:
    """As Go writes it, so that a controller which writes the object back changes nothing."""
    hours, rest = divmod(int(interval.total_seconds()), 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
