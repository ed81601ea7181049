"""The part of the configuration that is about the Argo CD that deploys the previews."""

from typing import Annotated

from previews.domain import naming
from previews.setting_types import HttpUrl, Section, checked_by


class ArgoCDSettings(Section):
    """Where it looks for Applications, and where it shows them to people."""

    namespace: Annotated[str, checked_by(naming.check_project_name)] = "argocd"
    url: HttpUrl | None = None
    """Of its own pages: the comment on a pull request links to each preview's Application there."""

    def applications_url(self) -> str:
        """Under which it shows an Application by its name; empty if nobody said where its pages are."""
        return f"{self.url}/applications/{self.namespace}" if self.url else ""
