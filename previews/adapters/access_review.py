"""What the manager's credential may do in the cluster, and what is there. For `previews doctor`, which changes nothing.

Kubernetes answers a SelfSubjectAccessReview for everybody, about themselves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from previews.adapters.http_look import clock_ahead_seconds
from previews.adapters.kubernetes_answers import MESSAGE_LENGTH_MAX, Raw, parsed, refusal
from previews.adapters.kubernetes_api import ClusterTimes, KubernetesAPI, Resource
from previews.adapters.one_line import one_line
from previews.adapters.raw_object import moment
from previews.domain import labels
from previews.errors import TransientError

TIMES = ClusterTimes(connect_seconds=4.0, read_seconds=8.0)
"""A doctor does not wait as long as a manager."""
CONDITIONS_SHOWN_MAX = 3

_VERSION = Resource("version", "/version")
_REVIEWS = Resource(
    "selfsubjectaccessreviews", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
)
_BINDINGS = Resource(
    "validatingadmissionpolicybindings",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
)


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one kind of object."""

    verb: str
    resource: str
    """With its subresource, as a Role has it: `pods/log`."""
    group: str = ""
    namespace: str = ""
    """Empty: in all of them, or for what lies in none."""

    def __str__(self) -> str:
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {kind}" + (f" in {self.namespace}" if self.namespace else "")


@dataclass(frozen=True, slots=True)
class Version:
    """Of the API server."""

    text: str
    numbers: tuple[int, int]
    clock_ahead_seconds: float | None
    """How far its clock is before ours; None if it does not tell its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """The Application behind which all shard roots are."""

    project: str
    repository: str
    revision: str
    path: str
    sync: str
    health: str
    trouble: str
    """Argo CD's own words, one line; empty if it has none."""
    compared_at: datetime | None


class AccessReview(KubernetesAPI):
    """The cluster, asked as the manager would. Safe from any thread."""

    def __init__(self, *, kubeconfig: Path | None) -> None:
        super().__init__(kubeconfig=kubeconfig, times=TIMES)

    def version(self) -> Version:
        """Of the API server, which tells everybody."""
        response = self._request("get", _VERSION)
        found = self._expect_object(response, "get", _VERSION)
        try:
            # Some clouds say `34+`.
            numbers = tuple(int(str(found[each]).rstrip("+")) for each in ("major", "minor"))
        except (KeyError, ValueError) as error:
            raise TransientError("ClusterAnswer", "the API server says no version") from error
        ahead = clock_ahead_seconds(response.headers.get("Date", ""), datetime.now(UTC))
        text = one_line(str(found.get("gitVersion", "")), MESSAGE_LENGTH_MAX)
        return Version(text, (numbers[0], numbers[1]), ahead)

    def may(self, right: Right) -> bool:
        """Whether the credential has it. Raises PreviewsError when Kubernetes does not say."""
        resource, _, subresource = right.resource.partition("/")
        attributes = {"verb": right.verb, "group": right.group, "resource": resource}
        if subresource:
            attributes["subresource"] = subresource
        if right.namespace:
            attributes["namespace"] = right.namespace
        asked = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        response = self._request("create", _REVIEWS, change=asked)
        found = parsed(response)
        if response.status != HTTPStatus.CREATED or found is None:
            raise refusal(response, "create", _REVIEWS.plural, "")
        status = found.get("status")
        if not isinstance(status, dict) or not isinstance(status.get("allowed"), bool):
            raise TransientError(
                "ClusterAnswer", "the answer about a right says neither yes nor no"
            )
        return status["allowed"] is True

    def kinds(self, group_version: str) -> frozenset[str]:
        """The plurals that the API server knows of a group, such as `argoproj.io/v1alpha1`; none if it has no such."""
        group = Resource(group_version, f"/apis/{group_version}")
        response = self._request("get", group)
        if response.status == HTTPStatus.NOT_FOUND:
            return frozenset()
        listed = self._expect_object(response, "get", group).get("resources")
        return frozenset(
            str(each.get("name"))
            for each in (listed if isinstance(listed, list) else ())
            if isinstance(each, dict)
        )

    def root(self, namespace: str, name: str) -> Root | None:
        """The root Application; None when there is none."""
        raw = self.fetch(_argocd(namespace, "applications"), name)
        if raw is None:
            return None
        spec, status = _mapping(raw, "spec"), _mapping(raw, "status")
        source = _mapping(spec, "source")
        return Root(
            project=_text(spec, "project"),
            repository=_text(source, "repoURL"),
            revision=_text(source, "targetRevision"),
            path=_text(source, "path"),
            sync=_text(_mapping(status, "sync"), "status"),
            health=_text(_mapping(status, "health"), "status"),
            trouble=one_line("; ".join(_troubles(status)), MESSAGE_LENGTH_MAX),
            compared_at=moment(status, "reconciledAt"),
        )

    def app_project_exists(self, namespace: str, name: str) -> bool:
        """Whether there is an AppProject of this name."""
        return self.fetch(_argocd(namespace, "appprojects"), name) is not None

    def bindings(self, instance: str) -> list[str]:
        """The ValidatingAdmissionPolicyBindings that hold in an instance's namespaces.

        Raises StalledError("ClusterForbidden") where they may not be listed.
        """
        listed = (item for page, _ in self.list_pages(_BINDINGS, "") for item in page)
        return [
            _text(_mapping(item, "metadata"), "name")
            for item in listed
            if _selected(item).get(labels.INSTANCE) == instance
        ]


def _argocd(namespace: str, plural: str) -> Resource:
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/{plural}"
    return Resource(f"{plural}.argoproj.io", path, f" in namespace {namespace}")


def _selected(binding: Raw) -> Raw:
    """The labels of the namespaces that a binding is for."""
    resources = _mapping(_mapping(binding, "spec"), "matchResources")
    return _mapping(_mapping(resources, "namespaceSelector"), "matchLabels")


def _troubles(status: Raw) -> Iterator[str]:
    conditions = status.get("conditions")
    for each in (conditions if isinstance(conditions, list) else [])[:CONDITIONS_SHOWN_MAX]:
        if isinstance(each, dict) and str(each.get("type", "")).endswith("Error"):
            yield _text(each, "message")
    operation = _mapping(status, "operationState")
    if _text(operation, "phase") in {"Failed", "Error"}:
        yield _text(operation, "message")


def _mapping(raw: Raw, name: str) -> Raw:
    found = raw.get(name)
    return found if isinstance(found, dict) else {}


def _text(raw: Raw, name: str) -> str:
    return one_line(str(raw.get(name) or ""), MESSAGE_LENGTH_MAX)
