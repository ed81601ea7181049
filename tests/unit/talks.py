"""A pull request on which people talk with the manager, and what came of it."""

from datetime import timedelta

from previews.domain.conversation import Permission
from previews.domain.database import DatabasePolicy
from previews.domain.lifetime import LifetimePolicy, Wishes
from previews.domain.policy import Policy
from previews.domain.preview import Phase
from previews.domain.record import PreviewRecord
from previews.reconcile.effects import Witness
from tests.fakes.surroundings import REPOSITORY, project
from tests.fakes.town import Town
from tests.unit.lives import key_of

DAYS_3 = LifetimePolicy(ttl=timedelta(days=3))
WRITER = "ada"


class Talk:
    """A town in which one person may write, and what is said there."""

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        database: DatabasePolicy | None = None,
        witness: Witness | None = None,
        from_fork: bool = False,
    ) -> None:
        shop = project("shop", lifetime=DAYS_3, policy=policy, database=database)
        self.town = Town([shop], witness=witness)
        self.forge = self.town.forge
        self.forge.set_permission(REPOSITORY, WRITER, Permission.WRITE)
        self.number = self.forge.open_pull_request(REPOSITORY, from_fork=from_fork)
        self.town.push_image(self.number)
        self.town.deliver(self.number)
        self.pass_seconds(60)

    def say(self, body: str, *, author: str = WRITER, heard: bool = True) -> int:
        """Somebody writes a comment, and the webhook comes. Returns the comment's id."""
        said = self.forge.comment(REPOSITORY, self.number, body, author=author)
        if heard:
            self.town.loop.conversation.hear((REPOSITORY, self.number))
        return said

    def ask(self, body: str, *, author: str = WRITER) -> int:
        said = self.say(body, author=author)
        self.town.settle()
        return said

    def pass_seconds(self, seconds: float) -> None:
        self.town.settle(seconds)

    def reaction(self, comment_id: int) -> str:
        """Ours; empty if there is none."""
        (found,) = self.forge.reactions(REPOSITORY, comment_id) or [""]
        return found

    def reply(self, comment_id: int) -> str:
        """Ours to one comment; empty if there is none."""
        marker = f"<!-- previews:acme:reply:{comment_id} -->"
        found = [
            each.body
            for each in self.forge.comments(REPOSITORY, self.number)
            if each.body.startswith(marker)
        ]
        assert len(found) <= 1
        return found[0].removeprefix(marker).strip() if found else ""

    @property
    def wishes(self) -> Wishes:
        return self.town.store.load_wishes(key_of(self.number))

    @property
    def record(self) -> PreviewRecord:
        return self.town.record(self.number)

    @property
    def phase(self) -> Phase:
        return self.record.phase

    @property
    def happened(self) -> list[str]:
        return [entry.action for entry in self.town.store.history(key_of(self.number))]
