"""The ports of what a preview is given of its own: a database, secrets, the name of its host.

They raise as those in `ports` do.
"""

from datetime import datetime
from typing import Protocol

from previews.domain.database import (
    Credential,
    Database,
    DatabaseLimits,
    Login,
    Secret,
    Template,
)
from previews.domain.inventory import OwnedObject
from previews.domain.preview import (
    HeadSha,
    PreviewKey,
)
from previews.domain.secret_set import Content, SecretSet


class DatabaseServer(Protocol):
    """One database server. Each preview has a database there and a login role, both of `naming.database_name`.

    Whatever bears such a name without our mark is somebody else's: it is shown with `key=None`, and refused with
    StalledError("DatabaseNotOurs").
    """

    def find(self, key: PreviewKey) -> Database | None:
        """Read now: what there is of a preview's role and database; None when there is neither."""
        ...

    def list_databases(self) -> list[Database]:
        """Everything that carries our instance's mark, read now and complete."""
        ...

    def create(
        self,
        key: PreviewKey,
        template: str,
        limits: DatabaseLimits,
        *,
        incarnation: str,
        at: datetime,
    ) -> None:
        """Make role and database, or finish what is half made. Nobody can log in before `set_credential`.

        Finds its own earlier work: one that is ready stays as it is, with its incarnation, and only gets these limits.
        Calls for one template take turns: the caller sees to that.
        """
        ...

    def set_credential(self, key: PreviewKey, credential: Credential) -> None:
        """Give the role this password, and say which one it is, in one transaction."""
        ...

    def note_migrated(self, key: PreviewKey, head_sha: HeadSha) -> None:
        """Keep with the database which commit's migrations ran in it."""
        ...

    def drop(self, key: PreviewKey) -> None:
        """Drop database and role, with every session. Nothing happens if there is neither.

        Raises StalledError("DatabaseInUse") with the server's own words for what no force ends: a prepared
        transaction, a replication slot, a subscription.
        """
        ...

    def login(self, key: PreviewKey, password: str) -> Login:
        """How a preview's application reaches its database."""
        ...

    def size_bytes(self, key: PreviewKey) -> int:
        """What the database takes up on disk, read now."""
        ...

    def templates(self) -> list[Template]:
        """The golden templates of our instance."""
        ...

    def fill_pool(self, template: str, wanted: int, *, at: datetime) -> bool:
        """Make one more clone of the template's present build, unless `wanted` of them stand ready.

        Says whether it made one. Clones of an older build are dropped.
        """
        ...

    def check(self) -> None:
        """Whether the server can be asked, and keeps previews apart. Raises PreviewsError with what to change."""
        ...


class SecretDelivery(Protocol):
    """Brings secrets to previews, in one way of `SecretKind`."""

    @property
    def withdraws(self) -> bool:
        """Whether what it delivers lies outside Git and the namespace, and can be taken away from there."""
        ...

    def deliver(self, secret: Secret) -> str:
        """Have the secret reach its namespace. Comes back with the manifest for Git; empty if none is needed.

        May happen twice. What is sealed twice never has the same bytes: whoever has a manifest keeps it.
        """
        ...

    def credential_of(self, key: PreviewKey, namespace: str, name: str, manifest: str) -> str:
        """The id of the secret that is under way or there; empty if there is none, or it has to be delivered anew.

        `manifest` is what is in Git; empty if nothing is.
        """
        ...

    def problem(self, namespace: str, name: str) -> str:
        """Why the secret has not reached its namespace, in the words of whoever should see to that; empty if it has."""
        ...

    def withdraw(self, key: PreviewKey, name: str) -> None:
        """Take away what lies outside Git and the namespace. Nothing happens if there is nothing."""
        ...


class SecretSource(Protocol):
    """Where the projects' own secrets are kept for the manager, who keeps nothing of them."""

    def read(self, project: str, wanted: SecretSet) -> Content:
        """What is in a set now, read anew.

        Raises StalledError("SecretFileMissing") for a file that cannot be read, and StalledError("SecretFileUnusable")
        for one that no Secret can hold. Neither has anything of what is in it.
        """
        ...


class HostRecords(Protocol):
    """Address records of previews' hosts, in a zone that people run themselves. Each carries our mark beside it.

    A record of such a name without our mark is somebody else's, and refused with StalledError("RecordNotOurs").
    """

    def find(self, key: PreviewKey, host: str) -> bool:
        """Whether the record and its mark are there as they should be, read now from the authoritative server."""
        ...

    def is_left(self, key: PreviewKey, host: str) -> bool:
        """Whether anything of it is left, read now: its mark. What does not carry it is somebody else's."""
        ...

    def ensure(self, key: PreviewKey, host: str) -> None:
        """Make the record and its mark, or finish what is half made. Finds its own earlier work."""
        ...

    def remove(self, key: PreviewKey, host: str) -> None:
        """Remove both. Nothing happens if there is neither."""
        ...

    def list_records(self) -> list[OwnedObject]:
        """Every record in the zone that carries our instance's mark, read now and complete."""
        ...

    def check(self) -> None:
        """Whether the server can be asked, and takes our key. Raises PreviewsError with what to change."""
        ...
