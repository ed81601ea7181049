"""What a database server has of previews, as its superuser sees it: never the manager.

The clones that the configuration has stand ready stay by design, and are counted apart. So are a database, a clone and
a role that only look like ours: they must be untouched at the end.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.soak.things import Thing

DATABASES = "databases"
ROLES = "roles"
POOL_CLONES = "pool clones"
KINDS = (DATABASES, ROLES, POOL_CLONES)
READY = "pool clones that stand ready"

PREVIEW_PREFIX = "preview_"
POOL_PREFIX = "previews_pool_"
DECOYS = ("preview_shop_pr_4000000001", "previews_pool_dec0ffee")
"""Nobody's pull request and no clone of ours: nothing but their names is like what is removed."""

_NUMBER = re.compile(r"_pr_(\d+)$")
_OF_DATABASES = (
    "SELECT datname::text, pg_get_userbyid(datdba)::text, datallowconn,"
    " shobj_description(oid, 'pg_database') FROM pg_database ORDER BY datname"
)
_OF_ROLES = (
    "SELECT rolname::text, shobj_description(oid, 'pg_authid') FROM pg_roles"
    f" WHERE starts_with(rolname::text, '{PREVIEW_PREFIX}') ORDER BY rolname"
)
_OF_DECOYS = (
    "SELECT 'database ' || datname, oid, pg_get_userbyid(datdba)::text, datacl::text,"
    " datallowconn, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname IN ({names})"
    " UNION ALL SELECT 'role ' || rolname, oid, '', NULL, rolcanlogin,"
    " shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname IN ({names}) ORDER BY 1"
).format(names=", ".join(f"'{name}'" for name in DECOYS))

Row = tuple[Any, ...]
Ask = Callable[..., list[Row]]


@dataclass(frozen=True, slots=True)
class Template:
    """Whose databases are counted, and the one of them that each preview's is a clone of."""

    name: str
    owner: str
    """The role of the manager's instance."""
    warm: int
    """As many clones are to stand ready."""


class ServerCensus:
    """Asked as the superuser: `ask` runs statements and returns the rows of the last one.

    Raises psycopg.OperationalError while the server is away.
    """

    def __init__(self, ask: Ask, template: Template) -> None:
        self._ask = ask
        self._template = template
        self._decoys: list[Row] = []

    def place_decoys(self) -> None:
        """They are closed, as the manager wants every database to be that is not meant for all."""
        for name in DECOYS:
            self._ask(f"CREATE DATABASE {name}", f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        self._ask(f"CREATE ROLE {DECOYS[0]} LOGIN")
        self._decoys = self._ask(_OF_DECOYS)

    def touched_decoys(self) -> list[str]:
        """What has become of those that are not as they were placed."""
        now = self._ask(_OF_DECOYS)
        changed = set(self._decoys) ^ set(now)
        return [f"a decoy was touched: {row[0]}" for row in sorted(changed, key=str)]

    def take(self) -> list[Thing]:
        """Everything that there is now."""
        return [
            *databases_in(self._ask(_OF_DATABASES), self._template),
            *roles_in(self._ask(_OF_ROLES)),
        ]

    def credentials(self) -> Mapping[int, str]:
        """The id of each preview's password, by pull request, as its role says it."""
        found = {number_of(name): credential_in(comment) for name, comment in self._ask(_OF_ROLES)}
        return {number: said for number, said in found.items() if number is not None and said}


def databases_in(rows: Iterable[Row], template: Template) -> list[Thing]:
    """Of (name, owner, whether it can be connected to, comment)."""
    things = []
    ready = 0
    for name, owner, is_open, comment in rows:
        is_named = name.startswith((PREVIEW_PREFIX, POOL_PREFIX)) and name not in DECOYS
        is_owned = owner == template.owner and name != template.name
        if not (is_named or is_owned):
            continue
        kind = DATABASES
        if name.startswith(POOL_PREFIX):
            is_ready = _said(comment).get("pool") == template.name and not is_open
            ready += is_ready
            kind = READY if is_ready and ready <= template.warm else POOL_CLONES
        things.append(Thing(kind, name, number_of(name)))
    return things


def roles_in(rows: Iterable[Row]) -> list[Thing]:
    """Of (name, comment). A server's other roles do not begin so."""
    return [Thing(ROLES, name, number_of(name)) for name, _ in rows if name not in DECOYS]


def number_of(name: str) -> int | None:
    """The pull request whose preview a database or role is called after."""
    number = _NUMBER.search(name)
    return int(number[1]) if number else None


def credential_in(comment: str | None) -> str:
    """Empty before there is a password."""
    said = _said(comment).get("credential")
    return said if isinstance(said, str) else ""


def _said(comment: str | None) -> Mapping[str, Any]:
    try:
        said = json.loads(comment or "{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
