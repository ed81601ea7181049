"""The port of the cluster where there is none.

Nothing is seen in it, so a preview may be written to Git; and nothing is ever proven gone, so the tour shows no preview
as Live or Removed.
"""

from collections.abc import Callable
from threading import Event

from previews.domain.inventory import OwnedObject
from previews.domain.preview import Application, Namespace, PreviewKey
from previews.domain.workload import Workload


class NoCluster:
    """Holds nothing, and says that it cannot be looked at."""

    def watch(self, on_change: Callable[[PreviewKey], None], stop: Event) -> None:  # noqa: ARG002 - the port has it
        stop.wait()

    def application(self, name: str) -> Application | None:  # noqa: ARG002 - the port has it
        return None

    def namespace(self, name: str) -> Namespace | None:  # noqa: ARG002 - the port has it
        return None

    def owned_keys(self) -> set[PreviewKey]:
        return set()

    def problem(self) -> str | None:
        return "there is no cluster in the tour"

    def fetch_application(self, name: str) -> Application | None:
        return self.application(name)

    def fetch_namespace(self, name: str) -> Namespace | None:
        return self.namespace(name)

    def app_project_exists(self, name: str) -> bool:  # noqa: ARG002 - the port has it
        """Whether it is gone cannot be known here."""
        return True

    def refresh_application(self, name: str) -> bool:  # noqa: ARG002 - the port has it
        return False

    def end_operation(self, application: Application) -> None:
        """Never reached: there is no Application."""

    def owned_objects(self) -> list[OwnedObject]:
        return []

    def delete_object(self, found: OwnedObject) -> bool:  # noqa: ARG002 - the port has it
        return False

    def workload(self, namespace: str) -> Workload:  # noqa: ARG002 - the port has it
        return Workload()

    def job_log(self, namespace: str, lines: int) -> str:  # noqa: ARG002 - the port has it
        return ""
