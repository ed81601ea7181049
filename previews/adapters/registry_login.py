"""Who the manager is to an image registry: docker config.json, the registry's challenge, and what answers it."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from previews.adapters.one_line import one_line
from previews.errors import StalledError

_DOCKER_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository name as a pod writes it, taken apart as container engines do."""

    registry: str
    """Host and port of its API."""
    name: str

    @property
    def hosts(self) -> frozenset[str]:
        """Under which a docker config.json may hold its credential."""
        return _DOCKER_HUB if self.registry in _DOCKER_HUB else frozenset({self.registry})


def parse_repository(text: str) -> Repository:
    """Read `registry.example/team/shop`, or a shorthand of Docker Hub's such as `nginx`."""
    first, _, rest = text.partition("/")
    names_a_host = "." in first or ":" in first or first == "localhost"
    if not rest or not names_a_host:
        first, rest = "docker.io", text
    if first not in _DOCKER_HUB:
        return Repository(first, rest)
    return Repository("registry-1.docker.io", rest if "/" in rest else f"library/{rest}")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One `WWW-Authenticate` header."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(headers: Sequence[str]) -> list[Challenge]:
    found = []
    for header in headers:
        scheme, _, rest = header.strip().partition(" ")
        parameters = {
            name.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain
            for name, quoted, plain in _PARAMETER.findall(rest)
        }
        found.append(Challenge(scheme.lower(), parameters))
    return found


def read_credential(docker_config: Path | None, repository: Repository) -> str | None:
    """User and password, as the value of a Basic header; None when the file has none for this registry.

    An entry may be for a registry, or for some of its repositories: the longest one counts. Raises StalledError for a
    file that is none of docker's, and for a credential of a kind that is not supported.
    """
    if docker_config is None:
        return None
    try:
        content = json.loads(docker_config.read_bytes())
        entry = _best_entry(content.get("auths") or {}, repository)
        unsupported = _unsupported(content, entry, repository)
        if not unsupported:
            return _basic(entry) if entry else None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise StalledError(
            "RegistryCredentials", f"{docker_config} is not a readable docker config.json"
        ) from error
    raise StalledError(
        "RegistryCredentials",
        f"{docker_config} has {unsupported} for {repository.registry}, which the manager does not "
        "use: put a user and a password there (docs/ci/README.md says which)",
    )


def _best_entry(
    entries: Mapping[str, Mapping[str, Any]], repository: Repository
) -> Mapping[str, Any] | None:
    fitting = {}
    for key, entry in entries.items():
        host, path = _place_of_key(key)
        covers = not path or f"{repository.name}/".startswith(f"{path}/")
        if host in repository.hosts and covers:
            fitting[path] = entry
    return fitting[max(fitting, key=len)] if fitting else None


def _place_of_key(key: str) -> tuple[str, str]:
    """Host and path; that of a registry's own API, which old files name, stands for all of it."""
    parts = urlsplit(key if "//" in key else f"//{key}")
    path = parts.path.strip("/")
    return parts.netloc, "" if path in {"v1", "v2"} else path


def _unsupported(
    content: Mapping[str, Any], entry: Mapping[str, Any] | None, repository: Repository
) -> str:
    """In words, what a credential is that is no user and password; empty if it is one, or there is none."""
    for name in ("identitytoken", "registrytoken"):
        if entry and entry.get(name):
            return f"no password but the key {name!r}"
    if entry and (entry.get("username") or entry.get("auth")):
        return ""
    helpers = content.get("credHelpers") or {}
    found = [helpers[host] for host in repository.hosts if host in helpers]
    if entry is not None and content.get("credsStore"):
        # Without an entry it may be public: docker would ask its store for every registry that there is.
        found.append(content["credsStore"])
    return f"no password but the credential helper {one_line(str(found[0]), 60)!r}" if found else ""


def _basic(entry: Mapping[str, Any]) -> str | None:
    if entry.get("username"):
        pair = f"{entry['username']}:{entry.get('password') or ''}".encode()
    elif entry.get("auth"):
        pair = base64.b64decode(entry["auth"], validate=True)
    else:
        return None
    return f"Basic {base64.b64encode(pair).decode()}"
