"""What the API server says, asked as the cluster's administrator: the tests' own eyes, independent of the manager's."""

import ssl
from collections.abc import Mapping
from typing import Any, TypeAlias

import httpx2

from tests.cluster import RunningCluster

NOT_FOUND = 404
CONFLICT = 409

Json: TypeAlias = Any
Object = dict[str, Json]


class Kubernetes:
    """Objects as raw dicts, by their path below the API server's address. Safe from any thread."""

    def __init__(self, cluster: RunningCluster) -> None:
        self._argocd = cluster.argocd_namespace
        self._client = httpx2.Client(
            base_url=cluster.api_server,
            headers={"authorization": f"Bearer {cluster.admin_token}"},
            verify=ssl.create_default_context(cafile=cluster.ca_file),
            trust_env=False,
            timeout=30,
        )

    def close(self) -> None:
        self._client.close()

    def get(self, path: str) -> Object | None:
        """The object, or None if the API server says that there is none."""
        return self._ask("GET", path)

    def list(self, path: str, **selector: str) -> list[Object]:
        """Every object of a kind with these labels; `previews.dev/instance` is written `instance`."""
        answer = self._ask("GET", path, params={"labelSelector": _selector(selector)})
        found: list[Object] = answer["items"] if answer else []
        return found

    def create(self, path: str, body: Object) -> Object:
        """The object as it was created; raises if there is one already."""
        answer = self._client.post(path, json=body)
        _raise(answer)
        created: Object = answer.json()
        return created

    def patch(self, path: str, body: Object) -> Object | None:
        """A JSON merge patch; None if there is no such object."""
        return self._ask(
            "PATCH", path, json=body, headers={"content-type": "application/merge-patch+json"}
        )

    def delete(self, path: str) -> None:
        """Ask for its end. What has finalizers lives on until they are gone."""
        answer = self._client.delete(path)
        # A conflict says that a namespace is being deleted already.
        if answer.status_code not in {NOT_FOUND, CONFLICT}:
            _raise(answer)

    def application_path(self, name: str = "") -> str:
        return f"/apis/argoproj.io/v1alpha1/namespaces/{self._argocd}/applications/{name}"

    def app_project_path(self, name: str = "") -> str:
        return f"/apis/argoproj.io/v1alpha1/namespaces/{self._argocd}/appprojects/{name}"

    def application(self, name: str) -> Object | None:
        return self.get(self.application_path(name))

    def app_project(self, name: str) -> Object | None:
        return self.get(self.app_project_path(name))

    def namespace(self, name: str) -> Object | None:
        return self.get(f"/api/v1/namespaces/{name}")

    def _ask(self, method: str, path: str, **request: Json) -> Object | None:
        answer = self._client.request(method, path.rstrip("/"), **request)
        if answer.status_code == NOT_FOUND:
            return None
        _raise(answer)
        found: Object = answer.json()
        return found


def _selector(labels: Mapping[str, str]) -> str:
    known = {"instance": "previews.dev/instance", "project": "previews.dev/project"}
    return ",".join(f"{known.get(name, name)}={value}" for name, value in labels.items())


def _raise(answer: httpx2.Response) -> None:
    if answer.is_error:
        raise RuntimeError(f"{answer.request.method} {answer.url}: {answer.text[:500]}")
