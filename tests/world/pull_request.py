"""One pull request of a World, with all who have to do with it: its author, its CI, its readers, its administrator."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import unescape
from typing import TYPE_CHECKING, Any

from previews.domain.naming import names_of, short_sha
from previews.domain.preview import HeadSha, PreviewKey
from tests.world.gitea import OpenedPullRequest
from tests.world.image import build_image
from tests.world.visitor import OK, Answer, ask, fill_in
from tests.world.waiting import wait_until

if TYPE_CHECKING:
    from tests.world.world import World

HELD = "held"
REPLY = ":reply:"
"""In the marker of an answer to a command."""

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """What the sample application's page says; each pull request has its own."""

    title: str
    text: str
    colour: str = "#0f766e"

    def files(self) -> Mapping[str, str]:
        return {"page.json": json.dumps(asdict(self), indent=2, ensure_ascii=False)}


class PullRequest:
    """Opened by `World.open_pull_request`. Every question goes to the part that really knows."""

    def __init__(self, world: "World", opened: OpenedPullRequest, head_sha: HeadSha) -> None:
        self._world = world
        self.opened = opened
        self.number = opened.number
        self.head_sha = head_sha
        self.key = PreviewKey(world.options.project, self.number)
        self.names = names_of(self.key, host_pattern=world.options.hostname)
        self.url = f"http://{self.names.host}:{world.cluster.ingress_port}/"
        self.folder = f"{world.gitops_folder}/{self.names.folder}"

    @property
    def bot(self) -> str:
        """Who writes on it for the manager."""
        return self._world.bot.name

    @property
    def tag(self) -> str:
        return f"pr-{self.number}-{short_sha(self.head_sha)}"

    def push(
        self, page: Page, *, image: bool = True, files: Mapping[str, str | None] | None = None
    ) -> HeadSha:
        """A further commit of the page and of these files (None removes one), and its CI unless `image` is False."""
        checkout = self._world.shop
        checkout.switch_to(self.opened.branch)
        self.head_sha = checkout.commit({**page.files(), **(files or {})}, f"Say {page.title}")
        checkout.push(self.opened.branch)
        if image:
            self.build_image()
        return self.head_sha

    def build_image(self) -> None:
        """The CI step: an image of this very commit."""
        checkout = self._world.shop
        checkout.switch_to(self.opened.branch)
        self._world.images.push(build_image(checkout.directory, self.head_sha), self.tag)

    def borrow_image(self) -> None:
        """A CI that found nothing to build: an image that there was already, under this commit's tag."""
        self._world.images.retag(self._world.spare_tag(), self.tag)

    def close(self) -> None:
        self._world.gitea.set_open(self.opened, is_open=False)

    def reopen(self) -> None:
        self._world.gitea.set_open(self.opened, is_open=True)

    def preview(self) -> Object:
        """As the manager's API shows it; empty while it knows none."""
        return self._world.manager.preview(self.key.project, self.number) or {}

    def phase(self) -> str:
        return str(self.preview().get("phase", ""))

    def page(self) -> Answer:
        return ask(self.url, find=self._world.address_of)

    def order(self, item: str) -> Answer:
        """Fill in the form of the page."""
        return fill_in(f"{self.url}orders", {"item": item}, find=self._world.address_of)

    def orders(self) -> list[str]:
        """What the page shows of its database, the newest first."""
        return [unescape(item) for item in re.findall(r"<li>(.*?)</li>", self.page().body)]

    def application(self) -> Object | None:
        return self._world.kubernetes.application(self.names.application)

    def namespace(self) -> Object | None:
        return self._world.kubernetes.namespace(self.names.namespace)

    def app_project(self) -> Object | None:
        return self._world.kubernetes.app_project(self.names.app_project)

    def files(self) -> list[str]:
        """Its files in the GitOps repository."""
        return self._world.gitea.files(self._world.gitops_repository, self.folder)

    def status(self) -> Object:
        """Our newest commit status; empty while there is none."""
        context = f"preview/{self.key.project}"
        found = self._world.gitea.statuses(self.opened.repository, self.head_sha)
        return next((status for status in found if status["context"] == context), {})

    def comments(self) -> list[str]:
        """What the manager shows below the pull request: one comment, if all is well."""
        return [each for each in self._said() if REPLY not in each]

    def replies(self) -> list[str]:
        """What it has answered to commands."""
        return [each for each in self._said() if REPLY in each]

    def say(self, body: str) -> None:
        """Write a comment, as somebody who may do anything."""
        self._world.gitea.comment(self.opened, body)

    def _said(self) -> list[str]:
        found = self._world.gitea.comments(self.opened)
        return [each["body"] for each in found if each["user"]["login"] == self.bot]

    def tags_of_pods(self) -> set[str]:
        """Which images run, or are just ending."""
        pods = self._world.kubernetes.list(f"/api/v1/namespaces/{self.names.namespace}/pods")
        images = [container["image"] for pod in pods for container in pod["spec"]["containers"]]
        return {image.partition("@")[0].rpartition(":")[2] for image in images}

    def hold_namespace(self, finalizer: str) -> None:
        """Put something into it that somebody else has to release."""
        self._world.kubernetes.create(
            self._held_path().rpartition("/")[0],
            {"metadata": {"name": HELD, "finalizers": [finalizer]}},
        )

    def let_namespace_go(self) -> None:
        self._world.kubernetes.patch(self._held_path(), {"metadata": {"finalizers": None}})

    def _held_path(self) -> str:
        return f"/api/v1/namespaces/{self.names.namespace}/configmaps/{HELD}"

    def shows_its_commit(self) -> bool:
        answer = self.page()
        return answer.status == OK and self.head_sha in answer.body

    def is_live(self) -> bool:
        """Whether the manager says so, of this commit, and the address answers."""
        preview = self.preview()
        says_so = preview.get("phase") == "Live" and preview.get("head_sha") == self.head_sha
        return says_so and self.page().status == OK

    def is_announced(self) -> bool:
        """Whether status and comment of the pull request give the address."""
        status = self.status()
        linked = status.get("status") == "success" and status.get("target_url") == self.url
        return linked and any(self.url in text for text in self.comments())

    def leftovers(self) -> list[str]:
        """What there still is of it anywhere."""
        databases, records = self._world.databases, self._world.records
        found = {
            "database": databases.leftovers(self.key) if databases else [],
            "DNS record": records.left(self.key) if records else [],
            "Application": self.application(),
            "namespace": self.namespace(),
            "AppProject": self.app_project(),
            "files in Git": self.files(),
        }
        return [name for name, thing in found.items() if thing]

    def is_said_to_be_removed(self) -> bool:
        status = self.status()
        ended = status.get("status") == "success" and "removed" in status.get("description", "")
        return ended and all("removed" in text for text in self.comments())

    def wait_until_live(self) -> None:
        wait_until(f"{self.key} is live", self.is_live, explain=self.explain)

    def wait_until_announced(self) -> None:
        wait_until(f"{self.url} is announced", self.is_announced, explain=self.explain)

    def wait_until_phase(self, phase: str) -> None:
        wait_until(f"{self.key} is {phase}", lambda: self.phase() == phase, explain=self.explain)

    def wait_until_removed(self) -> None:
        wait_until(
            f"nothing is left of {self.key}, and the manager says so",
            lambda: self.phase() == "Removed" and not self.leftovers(),
            explain=self.explain,
        )

    def explain(self) -> str:
        """How things stand, for the report of a wait that was in vain."""
        application = self.application() or {}
        stands = {
            "preview": self.preview(),
            "page": str(self.page()),
            "status": self.status(),
            "left": self.leftovers(),
            "application": {
                name: application.get("status", {}).get(name)
                for name in ("sync", "health", "conditions", "operationState")
            },
        }
        return json.dumps(stands, indent=2, default=str)
