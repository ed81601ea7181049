"""What `previews doctor` examines, and how its checks say what they found."""

from dataclasses import dataclass, field
from pathlib import Path

from previews.app import SystemClock
from previews.domain.database import SecretKind
from previews.domain.findings import Finding, Level
from previews.domain.ports import Clock
from previews.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One configuration, and what may be done to examine it."""

    settings: Settings
    kubeconfig: Path | None = None
    """An administrator's, for what the manager itself may not look at; None: the manager's own."""
    probe_image: str | None = None
    """With it, pods are made that try whether previews are kept apart; None: nothing is made anywhere."""
    clock: Clock = field(default_factory=SystemClock)

    @property
    def own_kubeconfig(self) -> Path | None:
        """The manager's."""
        return self.settings.kubernetes.kubeconfig

    @property
    def administrators_kubeconfig(self) -> Path | None:
        return self.kubeconfig or self.own_kubeconfig

    @property
    def secret_kinds(self) -> set[SecretKind]:
        """The ways that secrets of previews take."""
        settings = self.settings
        kinds = {p.database.secret.provider for p in settings.projects if p.database}
        return kinds | {
            each.kind for project in settings.project_map().values() for each in project.secrets
        }


def fine(check: str, message: str) -> Finding:
    return Finding(check=check, level=Level.FINE, message=message)


def warning(check: str, message: str, remedy: str) -> Finding:
    return Finding(check=check, level=Level.WARNING, message=message, remedy=remedy)


def problem(check: str, message: str, remedy: str) -> Finding:
    return Finding(check=check, level=Level.PROBLEM, message=message, remedy=remedy)


def unknown(check: str, message: str, remedy: str) -> Finding:
    return Finding(check=check, level=Level.UNKNOWN, message=message, remedy=remedy)
