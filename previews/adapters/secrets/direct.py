"""Secrets that the manager writes into the cluster itself, for clusters with neither of the other kinds. Never in Git.

Needs the rights to create and patch Secrets, not to read them: what is asked for is their metadata, by a patch that
changes nothing.
"""

import base64

from previews.adapters.kubernetes_answers import Raw
from previews.adapters.kubernetes_api import KubernetesAPI, Resource
from previews.adapters.secrets.concealment import words
from previews.adapters.secrets.manifest import OPEN_TO_SEALED, credential, mapping
from previews.domain import labels
from previews.domain.database import Secret
from previews.domain.preview import PreviewKey
from previews.errors import PreviewsError, StalledError


class DirectSecrets:
    """`domain.resource_ports.SecretDelivery` by Secrets of our own. Safe from any thread."""

    def __init__(self, *, api: KubernetesAPI, instance: str) -> None:
        self._api = api
        self._instance = instance

    @property
    def withdraws(self) -> bool:
        return False

    def deliver(self, secret: Secret) -> str:
        """Raises StalledError for a Secret of that name that is not the preview's, and leaves it as it is."""
        resource = _secrets(secret.namespace)
        before = self._api.fetch_metadata(resource, secret.name)
        if before is not None and not self._is_ours(before, secret.key):
            raise StalledError(
                "SecretNotOurs",
                f"there is a Secret {secret.namespace}/{secret.name} that is not the manager's: "
                "delete it, or give the project's secret another name",
            )
        try:
            self._write(resource, secret, before)
        except PreviewsError as refused:
            # Whatever refused it was shown all of it.
            said = words(refused.message, secret.data.values())
            raise refused.__class__(refused.reason, said) from None
        return ""

    def credential_of(self, key: PreviewKey, namespace: str, name: str, manifest: str) -> str:  # noqa: ARG002 it is never in Git
        """Empty as well for one that goes together with something else, such as what was sealed before."""
        found = self._api.fetch_metadata(_secrets(namespace), name)
        if found is None or not self._is_ours(found, key):
            return ""
        return "" if mapping(found, "metadata").get("ownerReferences") else credential(found)

    def problem(self, namespace: str, name: str) -> str:
        found = self._api.fetch_metadata(_secrets(namespace), name)
        return "" if found is not None else f"there is no Secret {namespace}/{name}"

    def withdraw(self, key: PreviewKey, name: str) -> None:
        """It goes with its namespace."""

    def _write(self, resource: Resource, secret: Secret, before: Raw | None) -> None:
        """Create it, or change what was looked at and nothing else: Kubernetes compares the version."""
        metadata = {
            "name": secret.name,
            "namespace": secret.namespace,
            "labels": dict(secret.labels),
            "annotations": {labels.CREDENTIAL: secret.credential, **OPEN_TO_SEALED},
        }
        change = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": secret.type.value,
            "metadata": metadata,
            "data": {
                entry: base64.b64encode(value.encode()).decode()
                for entry, value in secret.data.items()
            },
        }
        if before is None:
            self._api.create(resource, change)
            return
        found = mapping(before, "metadata")
        seen = {
            "uid": found.get("uid"),
            "resourceVersion": found.get("resourceVersion"),
            # It may have come another way before, and must not go with what it was made of.
            "ownerReferences": None,
        }
        self._api.patch(resource, secret.name, {**change, "metadata": metadata | seen})

    def _is_ours(self, found: Raw, key: PreviewKey) -> bool:
        marks = mapping(found, "metadata", "labels")
        return labels.ownership(self._instance, key).items() <= marks.items()


def _secrets(namespace: str) -> Resource:
    return Resource(
        "secrets", f"/api/v1/namespaces/{namespace}/secrets", f" in namespace {namespace}"
    )
