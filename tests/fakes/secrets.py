"""A way of delivery in memory, with the Git, the controller and the namespaces behind it."""

import itertools
import json
from collections.abc import Mapping

from previews.domain.database import Secret
from previews.domain.preview import PreviewKey
from previews.errors import TransientError


class FakeSecrets:
    """`domain.ports.SecretDelivery`: by way of Git like a sealed secret, or straight into the namespace."""

    def __init__(self, *, in_git: bool = True) -> None:
        self.in_git = in_git
        self.withdraws = True
        self.keeps_all = False
        """Nothing can be taken out, while everything else goes on."""
        self.unavailable = False
        self.problems: dict[tuple[str, str], str] = {}
        """What the controller says of a secret that does not arrive, by namespace and name."""
        self.withdrawn: list[tuple[PreviewKey, str]] = []
        self._certificate = 1
        self._turns = itertools.count(1)
        self._sealed: dict[str, Secret] = {}
        self._arrived: dict[tuple[str, str], Secret] = {}

    def deliver(self, secret: Secret) -> str:
        self._expect_available()
        if not self.in_git:
            self._arrived[secret.namespace, secret.name] = secret
            return ""
        # YAML as well, as JSON is. Never the same twice, and nothing in it can be read.
        said = {
            "kind": "FakeSecret",
            "metadata": {"namespace": secret.namespace, "name": secret.name},
            "credential": secret.credential,
            "certificate": self._certificate,
            "sealed": next(self._turns),
        }
        manifest = f"{json.dumps(said)}\n"
        self._sealed[manifest] = secret
        return manifest

    def credential_of(self, key: PreviewKey, namespace: str, name: str, manifest: str) -> str:
        if not self.in_git:
            self._expect_available()
            found = self._arrived.get((namespace, name))
            return found.credential if found is not None and found.key == key else ""
        sealed = self._sealed.get(manifest)
        if sealed is None or (sealed.namespace, sealed.name) != (namespace, name):
            return ""
        is_current = json.loads(manifest)["certificate"] == self._certificate
        return sealed.credential if is_current else ""

    def problem(self, namespace: str, name: str) -> str:
        self._expect_available()
        if (namespace, name) in self._arrived:
            return ""
        return self.problems.get((namespace, name), f"FakeSecret {namespace}/{name} is not there")

    def withdraw(self, key: PreviewKey, name: str) -> None:
        self._expect_available()
        if self.keeps_all:
            raise TransientError("SecretStoreFailed", "the secret store gives nothing up")
        self.withdrawn.append((key, name))

    def sync(self, manifest: str) -> None:
        """Argo CD brings what is in Git, and the controller opens it."""
        if secret := self._sealed.get(manifest):
            self._arrived[secret.namespace, secret.name] = secret

    def data(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """What a pod of the namespace finds in the secret."""
        found = self._arrived.get((namespace, name))
        return None if found is None else found.data

    def remove_namespace(self, namespace: str) -> None:
        """With everything in it."""
        for place in [place for place in self._arrived if place[0] == namespace]:
            del self._arrived[place]

    def renew_certificate(self) -> None:
        """Whatever was sealed has to be sealed anew."""
        self._certificate += 1

    def _expect_available(self) -> None:
        if self.unavailable:
            raise TransientError("SecretStoreFailed", "the secret store does not answer")
