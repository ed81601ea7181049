"""Secrets that lie in a store, such as AWS Secrets Manager, and are fetched into the cluster by external-secrets.

Git holds where each lies. A site's own command puts the values there.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from previews.adapters.kubernetes_answers import Raw
from previews.adapters.kubernetes_api import KubernetesAPI, Resource
from previews.adapters.secrets import store_command
from previews.adapters.secrets.conditions import Reading, problem_of
from previews.adapters.secrets.manifest import credential, mapping, read, write
from previews.domain import labels
from previews.domain.database import Secret
from previews.domain.naming import placeholders
from previews.domain.preview import PreviewKey

KIND = "ExternalSecret"
API_VERSION = "external-secrets.io/v1"
DEFAULT_REMOTE_KEY = "previews/{instance}/{project}/pr-{number}/{name}"
COMMAND_SECONDS = 30.0
_DEFAULTS = {"conversionStrategy": "Default", "decodingStrategy": "None", "metadataPolicy": "None"}
"""Spelled out as the API server would add them: to Argo CD an entry of a list that differs is out of sync for ever."""
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
    put_command: Sequence[str]
    """Program and arguments, `{key}` in them being the entry. Its standard input is the values, as one JSON object."""
    delete_command: Sequence[str] = ()
    """The same, without values; it must succeed where there is no entry. Empty: entries are left behind."""
    kind: str = "ClusterSecretStore"
    remote_key: str = DEFAULT_REMOTE_KEY
    refresh_interval: timedelta = timedelta(hours=1)
    command_seconds: float = COMMAND_SECONDS


class ExternalSecrets:
    """`domain.ports.SecretDelivery` by ExternalSecrets. Safe from any thread."""

    def __init__(self, *, api: KubernetesAPI, instance: str, store: SecretStore) -> None:
        self._api = api
        self._instance = instance
        self._store = store

    def deliver(self, secret: Secret) -> str:
        remote_key = self._remote_key(secret.key, secret.name)
        store_command.run(
            self._store.put_command,
            key=remote_key,
            stream=json.dumps(dict(secret.data)),
            secrets=secret.data.values(),
            timeout_seconds=self._store.command_seconds,
        )
        return write(self._manifest(secret, remote_key))

    def credential_of(self, key: PreviewKey, namespace: str, name: str, manifest: str) -> str:
        """Empty as well when the store is another one by now, or the entry in it."""
        found = read(manifest, KIND, namespace=namespace, name=name)
        if found is None or found.get("apiVersion") != API_VERSION:
            return ""
        entries = found["spec"].get("data") if isinstance(found.get("spec"), dict) else None
        remote_keys = {
            mapping(entry, "remoteRef").get("key") for entry in entries or () if mapping(entry)
        }
        is_there = remote_keys == {self._remote_key(key, name)}
        is_meant = mapping(found, "spec", "secretStoreRef") == self._reference()
        return credential(found) if is_there and is_meant else ""

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

    def _manifest(self, secret: Secret, remote_key: str) -> dict[str, object]:
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
                        "mergePolicy": "Replace",
                        "metadata": {"labels": secret.labels, "annotations": noted},
                        "type": "Opaque",
                    },
                },
                "data": [
                    {
                        "secretKey": entry,
                        "remoteRef": {"key": remote_key, "property": entry, **_DEFAULTS},
                    }
                    for entry in sorted(secret.data)
                ],
            },
        }


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
