"""Who the manager is to an image registry: docker config.json, the registry's challenge, and what answers it."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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

    Raises StalledError for a file that is none of docker's.
    """
    if docker_config is None:
        return None
    try:
        entries = json.loads(docker_config.read_bytes()).get("auths", {})
        for key, entry in entries.items():
            if _host_of_key(key) in repository.hosts:
                return _basic(entry)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise StalledError(
            "RegistryCredentials", f"{docker_config} is not a readable docker config.json"
        ) from error
    return None


def _host_of_key(key: str) -> str:
    return urlsplit(key if "//" in key else f"//{key}").netloc


def _basic(entry: Mapping[str, Any]) -> str | None:
    if entry.get("username"):
        pair = f"{entry['username']}:{entry.get('password') or ''}".encode()
    elif entry.get("auth"):
        pair = base64.b64decode(entry["auth"], validate=True)
    else:
        return None
    return f"Basic {base64.b64encode(pair).decode()}"
