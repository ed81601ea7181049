"""Secrets in Git, sealed for the sealed-secrets controller: it alone opens them, and only where they belong."""

import base64
import binascii

from previews.adapters.kubernetes_answers import Raw
from previews.adapters.kubernetes_api import KubernetesAPI, Resource
from previews.adapters.secrets.certificate import SealingCertificate
from previews.adapters.secrets.conditions import Reading, problem_of
from previews.adapters.secrets.manifest import annotation, credential, mapping, read, write
from previews.adapters.secrets.sealing import is_sealed
from previews.domain import labels
from previews.domain.database import Secret
from previews.domain.preview import PreviewKey

KIND = "SealedSecret"
API_VERSION = "bitnami.com/v1alpha1"
CERTIFICATE = "previews.dev/certificate"
"""Annotation: the fingerprint of the key that it was sealed for."""
WIDE_SCOPES = (
    "sealedsecrets.bitnami.com/namespace-wide",
    "sealedsecrets.bitnami.com/cluster-wide",
)
_READING = Reading(
    kind=KIND,
    condition="Synced",
    observed="observedGeneration",
    who="the sealed-secrets controller",
)


class SealedSecrets:
    """`domain.resource_ports.SecretDelivery` by SealedSecrets of strict scope. Safe from any thread."""

    def __init__(self, *, api: KubernetesAPI, certificate: SealingCertificate) -> None:
        self._api = api
        self._certificate = certificate

    @property
    def withdraws(self) -> bool:
        return False

    def deliver(self, secret: Secret) -> str:
        key = self._certificate.current()
        noted = {labels.CREDENTIAL: secret.credential}
        place = {"name": secret.name, "namespace": secret.namespace}
        document = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                **place,
                "labels": secret.labels,
                "annotations": {**noted, CERTIFICATE: key.fingerprint},
            },
            "spec": {
                "encryptedData": {
                    entry: _as_text(
                        key.seal(value.encode(), namespace=secret.namespace, name=secret.name)
                    )
                    for entry, value in sorted(secret.data.items())
                },
                # The controller makes the Secret of this, and of nothing else that stands above.
                "template": {
                    "metadata": {**place, "labels": secret.labels, "annotations": noted},
                    "type": secret.type.value,
                },
            },
        }
        return write(document)

    def credential_of(
        self,
        key: PreviewKey,  # noqa: ARG002 the namespace is this preview's own
        namespace: str,
        name: str,
        manifest: str,
    ) -> str:
        """Empty as soon as the controller has a new certificate: it may throw the old one's key away.

        While the certificate cannot be had, what is sealed stays as it is.
        """
        found = read_sealed(manifest, namespace=namespace, name=name)
        if found is None:
            return ""
        certificate = self._certificate.last_known()
        is_current = (
            certificate is None or annotation(found, CERTIFICATE) == certificate.fingerprint
        )
        return credential(found) if is_current else ""

    def problem(self, namespace: str, name: str) -> str:
        place = f" in namespace {namespace}"
        path = f"/apis/{API_VERSION}/namespaces/{namespace}/sealedsecrets"
        found = self._api.fetch(Resource("sealedsecrets.bitnami.com", path, place), name)
        return problem_of(found, _READING, namespace=namespace, name=name)

    def withdraw(self, key: PreviewKey, name: str) -> None:
        """Nothing lies outside Git and the namespace."""


def read_sealed(text: str, *, namespace: str, name: str) -> Raw | None:
    """A SealedSecret that opens in this one place, by what can be told without opening it; None for anything else."""
    found = read(text, KIND, namespace=namespace, name=name)
    if found is None or found.get("apiVersion") != API_VERSION:
        return None
    template = mapping(found, "spec", "template", "metadata")
    if any(
        annotation(each, scope) for each in (found, {"metadata": template}) for scope in WIDE_SCOPES
    ):
        return None
    sealed = mapping(found, "spec", "encryptedData")
    return found if sealed and all(map(_is_sealed_text, sealed.values())) else None


def _as_text(sealed: bytes) -> str:
    return base64.b64encode(sealed).decode()


def _is_sealed_text(value: object) -> bool:
    try:
        return isinstance(value, str) and is_sealed(base64.b64decode(value, validate=True))
    except binascii.Error:
        return False
