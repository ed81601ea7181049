"""A town whose shop has databases, and who gets into them."""

from previews.domain.database import DatabasePolicy
from previews.domain.naming import names_of
from previews.domain.observation import DATABASE_FILE
from previews.domain.preview import PreviewKey
from tests.fakes.surroundings import OWN_DATABASE
from tests.fakes.town import Town, project


def town_with(policy: DatabasePolicy = OWN_DATABASE) -> Town:
    return Town([project("shop", database=policy)])


def key(number: int) -> PreviewKey:
    return PreviewKey("shop", number)


def arrive(town: Town, number: int) -> None:
    """What is in Git comes to the preview's namespace."""
    town.secrets.sync(
        town.gitops.files[f"{names_of(key(number), host_pattern='').folder}/{DATABASE_FILE}"]
    )


def can_log_in(town: Town, number: int) -> bool:
    """Whether the preview's application gets into its database with what it finds in its namespace."""
    data = town.secrets.data(names_of(key(number), host_pattern="").namespace, "database")
    if data is None:
        return False
    login = town.databases.login(key(number), data["PGPASSWORD"])
    return town.databases.can_log_in(login)


def parameters(town: Town, number: int) -> str:
    manifests = town.record(number).manifests
    assert manifests is not None
    return manifests.files["application.yaml"]
