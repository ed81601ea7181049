"""What the configuration adds to a preview's record, wherever it is shown on a pull request."""

from collections.abc import Mapping

from previews.domain.commands import valid_now
from previews.domain.naming import Names
from previews.domain.preview import Stage
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.domain.subject import Subject


class Subjects:
    """Makes subjects of records. Safe from any thread."""

    def __init__(self, projects: Mapping[str, Project], applications_url: str) -> None:
        """`applications_url`: under which Argo CD shows each Application by its name; empty if nobody said."""
        self._projects = projects
        self._applications_url = applications_url

    def of(self, record: PreviewRecord) -> Subject:
        """Of a project that is configured no more there is only what is known of the preview itself."""
        project = self._projects.get(record.key.project)
        if project is None:
            return Subject(record, "")
        number = record.key.number
        return Subject(
            record,
            project.url(number),
            logs_url=self._logs_url(record, project.names(number)),
            comment_mode=project.comment_mode,
            commands=tuple(verb.usage for verb in valid_now(project, record)),
        )

    def _logs_url(self, record: PreviewRecord, names: Names) -> str:
        is_there = record.manifests is not None and record.manifests.stage is Stage.WHOLE
        if not self._applications_url or not is_there:
            return ""
        return f"{self._applications_url}/{names.application}"
