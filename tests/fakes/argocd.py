"""Argo CD over a FakeCluster: its roots apply what lies in Git, and deploy it or leave it to a test how it goes.

Simplified, but honest where it has been seen to matter: a root applies only its own folder, and only when it looks; a
new root looks at once; a root that is gone takes everything behind it along; no root prunes to nothing; and right after
a change everything still says Synced and Healthy about the old image.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import yaml

from previews.domain import labels
from previews.domain.images import image_name
from previews.domain.naming import top_root_name
from previews.domain.preview import PreviewKey
from tests.fakes.cluster import FakeCluster

Manifest = Mapping[str, Any]
Identity = tuple[str, str]

ROOTS = "roots/"


class FakeArgoCD:
    """Give its `looks` to the cluster's `on_refresh`, with the files of a GitOps repository."""

    def __init__(
        self, cluster: FakeCluster, *, folder: str = "previews", deploys: bool = True
    ) -> None:
        """With `deploys`, whatever is applied comes to its good end at once. `folder` is ours in the repository."""
        self.deploys = deploys
        self._cluster = cluster
        self._prefix = f"{folder}/"
        self._behind: dict[str, dict[Identity, Manifest]] = {}

    def looks(self, files: Mapping[str, str], commit: str, root: str | None = None) -> None:
        """Read this commit for one root, as after a refresh, or for all. Paths are below our folder."""
        top = top_root_name(self._cluster.instance)
        try:
            found = _objects(files, ROOTS)
        except ManifestError as error:
            self._cluster.put_application(top, problems=(f"ComparisonError: {error}",))
            return
        roots = {
            name: manifest
            for (_, name), manifest in found.items()
            if manifest["kind"] == "Application"
        }
        due = {root} if root is not None else {top, *roots}
        if top in due:
            due |= self._apply_roots(roots)
            self._cluster.put_application(top, revisions=frozenset({commit}))
        for name in sorted(due & self._behind.keys() & roots.keys()):
            folder = str(roots[name]["spec"]["source"]["path"]).removeprefix(self._prefix)
            try:
                self._apply(name, _objects(files, f"{folder.rstrip('/')}/"))
            except ManifestError as error:
                self._cluster.put_application(name, problems=(f"ComparisonError: {error}",))
                continue
            self._cluster.put_application(name, revisions=frozenset({commit}))

    def finishes(self, name: str, **fields: Any) -> None:  # noqa: ANN401 those of Application
        """Sync what was applied of this Application and bring it to its good end, but for `fields`."""
        (manifest,) = (
            behind["Application", name]
            for behind in self._behind.values()
            if ("Application", name) in behind
        )
        done: dict[str, Any] = {
            "proven_for_spec": True,
            "sync": "Synced",
            "health": "Healthy",
            "operation_phase": "Succeeded",
            "operation_message": "successfully synced (all tasks run)",
            "images": _images(manifest),
            "problems": (),
        }
        self._cluster.put_application(name, **(done | fields))

    def _apply_roots(self, roots: Mapping[str, Manifest]) -> set[str]:
        """What the root of all roots does. Returns those that are new."""
        for gone in self._behind.keys() - roots.keys():
            for identity in self._behind.pop(gone):
                if identity[0] != "ConfigMap":
                    self._delete(identity)
            self._cluster.delete_application(gone)
        new = roots.keys() - self._behind.keys()
        for name in new:
            self._behind[name] = {}
            marks = roots[name]["metadata"]["labels"]
            self._cluster.put_root(name, shard=str(marks.get(labels.SHARD, "")))
        return set(new)

    def _apply(self, root: str, wanted: Mapping[Identity, Manifest]) -> None:
        if not wanted:
            problem = "ComparisonError: app path does not exist"
            self._cluster.put_application(root, problems=(problem,))
            return
        before = self._behind[root]
        self._behind[root] = dict(wanted)
        for identity in before.keys() - wanted.keys():
            self._delete(identity)
        for identity, manifest in wanted.items():
            if before.get(identity) != manifest or not self._exists(identity):
                self._create(identity, manifest)

    def _create(self, identity: Identity, manifest: Manifest) -> None:
        metadata = manifest["metadata"]
        marks = metadata.get("labels", {})
        number = str(marks.get(labels.NUMBER, ""))
        owner = PreviewKey(marks[labels.PROJECT], int(number)) if number else None
        instance = str(marks.get(labels.INSTANCE, ""))
        match identity:
            case ("Application", name):
                digest = metadata.get("annotations", {}).get(labels.DIGEST, "")
                self._cluster.put_application(
                    name,
                    owner,
                    instance=instance,
                    digest=digest,
                    proven_for_spec=False,
                    operation_phase="",
                    operation_message="",
                    problems=(),
                )
                if self.deploys:
                    self.finishes(name)
            case ("Namespace", name):
                self._cluster.put_namespace(name, owner, instance=instance)
            case ("AppProject", name):
                self._cluster.put_app_project(name, owner, instance=instance)
            case ("ConfigMap", name):
                self._cluster.put_config_map(name, instance=instance)

    def _exists(self, identity: Identity) -> bool:
        match identity:
            case ("Application", name):
                return name in self._cluster.applications
            case ("Namespace", name):
                return name in self._cluster.namespaces
            case ("AppProject", name):
                return name in self._cluster.app_projects
            case ("ConfigMap", name):
                return name in self._cluster.config_maps
            case _:
                return True

    def _delete(self, identity: Identity) -> None:
        if not self._exists(identity):
            return
        match identity:
            case ("Application", name):
                self._cluster.delete_application(name)
            case ("Namespace", name):
                self._cluster.delete_namespace(name)
            case ("AppProject", name):
                self._cluster.delete_app_project(name)
            case ("ConfigMap", name):
                self._cluster.config_maps.discard(name)


class ManifestError(ValueError):
    """What lies in Git is no Kubernetes object: nothing of its root is compared, nor changed."""


def _objects(files: Mapping[str, str], folder: str) -> dict[Identity, Manifest]:
    found: dict[Identity, Manifest] = {}
    for path, text in files.items():
        if path.startswith(folder):
            try:
                documents = _documents(text)
                found |= {(each["kind"], each["metadata"]["name"]): each for each in documents}
            except (yaml.YAMLError, KeyError, TypeError) as error:
                raise ManifestError(f"{path} is no manifest") from error
    return found


@lru_cache(maxsize=10_000)
def _documents(text: str) -> tuple[Manifest, ...]:
    return tuple(each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each)


def _images(application: Manifest) -> frozenset[str]:
    """What the default chart would run: `image.repository`, `image.tag` and `image.digest`, wherever they stand."""
    helm = application["spec"].get("source", {}).get("helm", {})
    image = dict(helm.get("valuesObject", {}).get("image", {}))
    for parameter in helm.get("parameters", []):
        group, _, field = parameter["name"].partition(".")
        if group == "image":
            image[field] = parameter["value"]
    repository, tag, digest = (image.get(name, "") for name in ("repository", "tag", "digest"))
    complete = repository and (tag or digest)
    return frozenset({image_name(repository, tag, digest)} if complete else ())
