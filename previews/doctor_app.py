"""The doctor's check of a GitHub App: what it may do and hears of, and whether what it hears arrives."""

from urllib.parse import urlsplit

from previews.adapters.forges.github import GitHubForge
from previews.adapters.forges.github_app_look import AppSeen, look_at_app
from previews.adapters.forges.github_permissions import EVENTS, lacking
from previews.app import build_forge
from previews.doctor_case import Case, fine, problem, unknown, warning
from previews.domain.findings import Finding
from previews.errors import PreviewsError

CHECK = "github app"
WEBHOOK_PATH = "/webhooks"


def check_app(case: Case) -> list[Finding]:
    """Whether the App is as docs/github-app.md has it. Where it is installed, the check `forge` says."""
    forge = build_forge(case.settings)
    if case.settings.forge.app is None or not isinstance(forge, GitHubForge):
        return [fine(CHECK, "not used: the forge is asked with a token")]
    try:
        seen = look_at_app(forge.connection)
    except PreviewsError as error:
        remedy = "see whether forge.app.id and forge.app.private_key_file are of the same App, and the clock is right"
        return [problem(CHECK, error.message, remedy)]
    return [*_rights(seen), _webhook(seen)]


def _rights(seen: AppSeen) -> list[Finding]:
    missing = [f"{each.title}: {each.access}" for each in lacking(seen.granted)]
    deaf = sorted(EVENTS.keys() - seen.events)
    page = "on the App's page, under Permissions & events (docs/github-app.md has all of them)"
    found: list[Finding] = []
    if missing:
        said = f"{seen.name} does not ask for: {', '.join(missing)}"
        found.append(
            problem(CHECK, said, f"set it {page}, and accept it where the App is installed")
        )
    if deaf:
        said = f"{seen.name} does not hear of: {', '.join(deaf)}"
        found.append(warning(CHECK, said, f"subscribe to it {page}"))
    return found or [fine(CHECK, f"{seen.name} asks for what is needed, and hears of it")]


def _webhook(seen: AppSeen) -> Finding:
    if not seen.webhook_url:
        said = "the App has no webhook: what happens is seen by the resync only"
        return warning(CHECK, said, "set the webhook's URL and secret on the App's page")
    if not urlsplit(seen.webhook_url).path.endswith(WEBHOOK_PATH):
        said = (
            f"the App's webhook goes to {seen.webhook_url}, and the manager hears at {WEBHOOK_PATH}"
        )
        return problem(CHECK, said, "correct the webhook's URL on the App's page")
    if not seen.deliveries:
        said = f"nothing was delivered to {seen.webhook_url} yet"
        return unknown(CHECK, said, "see Advanced on the App's page once something has happened")
    if seen.failed:
        said = (
            f"of the last {seen.deliveries} deliveries to {seen.webhook_url}, {seen.failed} did not arrive; "
            f"the newest: {seen.last_status}"
        )
        remedy = "see Advanced on the App's page: is the URL reached from outside, and the secret the one of the file?"
        return warning(CHECK, said, remedy)
    return fine(CHECK, f"the last {seen.deliveries} deliveries to {seen.webhook_url} arrived")
