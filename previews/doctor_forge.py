"""The doctor's checks of the forge: whether it can be asked, what may be done there, and whether it can call."""

from pathlib import Path

from previews.adapters.forges.gitea import GiteaForge
from previews.adapters.forges.github import GitHubForge
from previews.adapters.forges.rights import fetch_rights
from previews.app import build_forge
from previews.doctor_case import Case, fine, problem, unknown, warning
from previews.domain.findings import Finding
from previews.errors import PreviewsError


def check_webhooks(case: Case) -> list[Finding]:
    """Whether the forge can tell the manager what happens."""
    forge = case.settings.forge
    if not forge.webhook_secret_files:
        every = int(case.settings.resync.total_seconds())
        said = f"no webhook is accepted: what happens at the forge is seen every {every} s only"
        remedy = (
            "put a random secret into a file, name it in forge.webhook_secret_files, and give it to a webhook of "
            "the repositories for pull requests (docs/forges.md)"
        )
        return [warning("webhooks", said, remedy)]
    empty = [str(file) for file in forge.webhook_secret_files if not _has_text(file)]
    if empty:
        said = f"these files hold no secret that can be read: {', '.join(empty)}"
        return [problem("webhooks", said, "put the webhook's secret into each, in one line")]
    return [fine("webhooks", f"accepted secrets: {len(forge.webhook_secret_files)}")]


def _has_text(file: Path) -> bool:
    try:
        return bool(file.read_bytes().strip())
    except OSError:
        return False


def check_forge(case: Case) -> list[Finding]:
    """Whether the token works, and what it may do in each project's repository."""
    settings = case.settings.forge
    forge = build_forge(case.settings)
    try:
        forge.check()
    except PreviewsError as error:
        remedy = (
            f"see whether forge.api_url is right, and whether {settings.credential_file()} holds what is still valid "
            "(docs/forges.md says which rights it needs)"
        )
        return [problem("forge", error.message, remedy)]
    finally:
        if isinstance(forge, GiteaForge):
            forge.close()
    repositories = sorted({project.repository for project in case.settings.projects})
    if settings.app and isinstance(forge, GitHubForge):
        taken = fine("forge", f"{settings.api_url} knows the App")
        return [taken, *(_installed_in(each, forge) for each in repositories)]
    taken = fine("forge", f"{settings.api_url} takes the token")
    return [taken, *(_rights_in(each, case) for each in repositories)]


def _installed_in(repository: str, forge: GitHubForge) -> Finding:
    """An App's rights are what was granted where it is installed; GitHub shows it no others."""
    try:
        lacking = forge.connection.list_lacking(repository)
        forge.list_open_pull_requests(repository)
    except PreviewsError as error:
        remedy = (
            f"see whether `repository: {repository}` is spelled as GitHub has it, and install the App there "
            "(docs/github-app.md)"
        )
        return problem("forge", error.message, remedy)
    if lacking:
        said = (
            f"{repository} can be read; the App has yet to be granted there: {', '.join(lacking)}"
        )
        remedy = "accept the App's permissions on the page of its installation (docs/github-app.md)"
        return problem("forge", said, remedy)
    return fine("forge", f"{repository} can be read, and the App has there what it needs")


def _rights_in(repository: str, case: Case) -> Finding:
    forge = case.settings.forge
    try:
        rights = fetch_rights(
            repository,
            kind=forge.kind,
            api_url=forge.api_url,
            token_file=Path(forge.credential_file()),
        )
    except PreviewsError as error:
        remedy = (
            f"see whether `repository: {repository}` is spelled as the forge has it, and give the token's user "
            "access to it"
        )
        return problem("forge", error.message, remedy)
    if rights.is_archived:
        said = f"{repository} is archived: nothing can be written there"
        return warning("forge", said, "take it out of projects, or unarchive it")
    if rights.may_push is None:
        said = f"{repository} can be read; the forge does not say whether commit statuses can be written"
        return unknown(
            "forge", said, "give the token the right to write commit statuses and comments"
        )
    if not rights.may_push:
        said = f"{repository} can be read, and no commit status can be written there"
        remedy = (
            "give the token's user write access (GitHub: the permission `Commit statuses: write`)"
        )
        return problem("forge", said, remedy)
    if forge.kind == "gitea" and rights.may_administer is False:
        said = f"{repository} can be read, and its commit statuses written; no command in a comment can be judged there"
        remedy = (
            "make the token's user an administrator of the repository, if commands are wanted: Gitea tells nobody else "
            "what people may do"
        )
        return warning("forge", said, remedy)
    return fine("forge", f"{repository} can be read, and its commit statuses written")
