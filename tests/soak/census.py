"""What there is of previews, from outside: the API server, the Git server's disk, a database server, a zone; never
the manager.

Shard roots and the objects that keep a shard's folder from becoming empty stay by design, and are counted apart.
"""

import re
import ssl
import subprocess
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx2

from previews.domain import labels
from previews.domain.naming import ROOTS_FOLDER, key_of_folder
from tests.bench.pages import LABEL
from tests.cluster import RunningCluster
from tests.soak import server_census
from tests.soak.forge import SoakForge
from tests.soak.records import RECORDS, SoakRecords
from tests.soak.server_census import ServerCensus
from tests.soak.things import Thing

APPLICATIONS = "Applications"
NAMESPACES = "namespaces"
APP_PROJECTS = "AppProjects"
CONFIG_MAPS = "ConfigMaps"
FILES = "files in Git"
SECRETS = "secrets"
SEALED_SECRETS = "sealed secrets"
KINDS = (APPLICATIONS, NAMESPACES, APP_PROJECTS, CONFIG_MAPS, FILES)
DATABASE_KINDS = (*server_census.KINDS, SECRETS, SEALED_SECRETS)
"""What there is besides where previews have databases."""
SHARDS = "shards"
NAMESPACED = (CONFIG_MAPS, SECRETS, SEALED_SECRETS)

METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""A root's status has a line for each of its objects, which nobody here reads."""
_NAME = re.compile(r"-pr-(\d+)$")

Object = dict[str, Any]


def is_shards(thing: Thing) -> bool:
    return thing.kind == SHARDS


def leftovers(things: Iterable[Thing]) -> list[Thing]:
    """All that may not be there when every pull request is closed."""
    return [it for it in things if not is_shards(it) and it.kind != server_census.READY]


def too_early(things: Iterable[Thing], gone: Collection[int]) -> list[Thing]:
    """What may not be there while others live: whatever is of those that are gone, or of nobody.

    A clone that is being made for the pool is nobody's for a moment, and rightly.
    """
    return [
        it
        for it in leftovers(things)
        if it.number in gone or (it.number is None and it.kind != server_census.POOL_CLONES)
    ]


def count(things: Iterable[Thing], kinds: Iterable[str] = KINDS) -> Mapping[str, int]:
    """How many there are of each kind that may not be left; zeroes too."""
    counted = Counter(thing.kind for thing in things)
    return {kind: counted[kind] for kind in kinds}


def twice(things: Iterable[Thing]) -> list[str]:
    """Pull requests with more than one Application."""
    owners = Counter(it.number for it in things if it.kind == APPLICATIONS)
    return [f"{times} Applications of {number}" for number, times in owners.items() if times > 1]


class Census:
    """Asked as the cluster's administrator. Raises httpx2.HTTPError while the API server is away, and the errors of the
    database server and of the name server while they are."""

    def __init__(
        self,
        cluster: RunningCluster,
        *,
        instance: str,
        gitops_on_disk: Path,
        folder: str,
        server: ServerCensus | None,
        records: SoakRecords | None,
        forge: SoakForge,
    ) -> None:
        """Secrets are counted where there is a database server."""
        self._instance = instance
        self._gitops = gitops_on_disk
        self._folder = folder
        self._server = server
        self._records = records
        self._forge = forge
        argocd = f"/apis/argoproj.io/v1alpha1/namespaces/{cluster.argocd_namespace}"
        owned = f"{labels.INSTANCE}={instance}"
        secrets = (
            (SECRETS, "/api/v1/secrets", owned),
            (SEALED_SECRETS, "/apis/bitnami.com/v1alpha1/sealedsecrets", owned),
        )
        self._asked = (
            *(secrets if server else ()),
            (APPLICATIONS, f"{argocd}/applications", owned),
            (APP_PROJECTS, f"{argocd}/appprojects", owned),
            (NAMESPACES, "/api/v1/namespaces", owned),
            (CONFIG_MAPS, "/api/v1/configmaps", LABEL),
            (SHARDS, f"/api/v1/namespaces/{cluster.argocd_namespace}/configmaps", owned),
        )
        self._client = httpx2.Client(
            base_url=cluster.api_server,
            headers={"authorization": f"Bearer {cluster.admin_token}", "accept": METADATA_ONLY},
            verify=ssl.create_default_context(cafile=cluster.ca_file),
            trust_env=False,
            timeout=30,
        )

    def close(self) -> None:
        self._client.close()

    @property
    def kinds(self) -> tuple[str, ...]:
        """All that may not be left."""
        of_databases = DATABASE_KINDS if self._server else ()
        of_records = (RECORDS,) if self._records else ()
        return (*KINDS, *of_databases, *of_records, *self._forge.kinds)

    def take(self) -> list[Thing]:
        """Everything that there is now."""
        found = [
            self._object(kind, each)
            for kind, path, selector in self._asked
            for each in self._list(path, selector)
        ]
        on_server = self._server.take() if self._server else []
        in_zone = self._records.take() if self._records else []
        in_git = files_in_git(self._gitops, self._folder)
        return sorted([*found, *in_git, *on_server, *in_zone, *self._forge.take()], key=str)

    def _list(self, path: str, selector: str) -> list[Object]:
        answer = self._client.get(path, params={"labelSelector": selector}).raise_for_status()
        listed: list[Object] = answer.json()["items"] or []  # null when there are none
        return listed

    def _object(self, kind: str, found: Object) -> Thing:
        metadata = found["metadata"]
        if labels.SHARD in metadata.get("labels", {}):
            return Thing(SHARDS, f"{kind} {metadata['name']}", None)
        owner = metadata["namespace"] if kind in NAMESPACED else metadata["name"]
        number = _NAME.search(owner)
        return Thing(kind, f"{owner}/{metadata['name']}", int(number[1]) if number else None)


def files_in_git(repository: Path, folder: str) -> list[Thing]:
    """Of the branch's tip, as the Git server has it on disk."""
    listed = subprocess.run(
        [
            *("git", f"--git-dir={repository}", "-c", "safe.directory=*"),
            *("ls-tree", "-r", "--name-only", "main", f"{folder}/"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return [_file(line, folder) for line in listed.stdout.splitlines()]


def _file(path: str, folder: str) -> Thing:
    inside = path.removeprefix(f"{folder}/")
    parent, _, _ = inside.rpartition("/")
    key = key_of_folder(parent)
    if key is None and (parent == ROOTS_FOLDER or inside.endswith("/keep.yaml")):
        return Thing(SHARDS, path, None)
    return Thing(FILES, path, key.number if key else None)
