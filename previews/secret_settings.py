"""The part of the configuration that is about secrets. Read with the rest of it, in settings.py."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator

from previews.domain.database import SecretKind, SecretType
from previews.domain.secret_set import DOCKER_CONFIG_ENTRY, IMAGE_PULL, SecretSet
from previews.setting_types import ExistingFile, Section, Span, dns_label, dns_name


class SealedSecretsSettings(Section):
    """The sealed-secrets controller in the cluster."""

    namespace: Annotated[str, AfterValidator(dns_label)] = "kube-system"
    controller: Annotated[str, AfterValidator(dns_label)] = "sealed-secrets-controller"
    """The name of its service, which is asked for its certificate."""
    port: str = "http"
    """The service's, by name or number."""
    certificate_file: ExistingFile | None = None
    """Its public certificate, where the manager may not ask for it."""


class ExternalSecretsSettings(Section):
    """A store outside of the cluster, which the External Secrets operator reads."""

    store: str
    """The name of the SecretStore or ClusterSecretStore."""
    store_kind: Literal["SecretStore", "ClusterSecretStore"] = "ClusterSecretStore"
    key: str = "previews/{instance}/{project}/pr-{number}/{name}"
    """Where in the store a preview's secret lies; with {instance}, {project}, {number} and {name}."""
    refresh: Span = timedelta(hours=1)
    put_command: list[str] = []
    """Puts what opens a database into the store: {key} is filled in, and the value comes on its standard input."""
    delete_command: list[str] = []


class SecretsSettings(Section):
    """How secrets reach the previews."""

    sealed_secrets: SealedSecretsSettings = SealedSecretsSettings()
    external_secrets: ExternalSecretsSettings | None = None


SERVICE_ACCOUNT = Path("/var/run/secrets")
"""Where Kubernetes puts the manager's own right to the cluster."""
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]
Remote = Annotated[str, Field(pattern=r"^[!-~]+$", max_length=500)]


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError(f"{path} must be an absolute path")
    return path


AbsoluteFile = Annotated[Path, AfterValidator(_absolute)]


class SecretSetSettings(Section):
    """One of a project's own secrets. What is in it stands in files of the manager, or in the store."""

    name: Annotated[str, AfterValidator(dns_name)]
    """The Secret's name in the preview's namespace."""
    provider: SecretKind = SecretKind.SEALED_SECRETS
    files: dict[VariableName, AbsoluteFile] = {}
    """By variable. One that is missing is the trouble of this project's new previews, and of nobody else."""
    remote: Remote | None = None
    """With external-secrets: the entry of the store, each of whose properties becomes a variable."""

    @model_validator(mode="after")
    def _check(self) -> "SecretSetSettings":
        if self.name == IMAGE_PULL:
            raise ValueError(f"the name {IMAGE_PULL} is taken: that one is image.pull_secret")
        _check_source(self.provider, self.remote, self.files, "files")
        return self

    def secret_set(self) -> SecretSet:
        return SecretSet(
            name=self.name, kind=self.provider, files=dict(self.files), remote=self.remote or ""
        )


class PullSecretSettings(Section):
    """What a preview's nodes pull its images with."""

    provider: SecretKind = SecretKind.SEALED_SECRETS
    file: AbsoluteFile | None = None
    """A Docker config.json with credentials that may pull, and nothing more."""
    remote: Remote | None = None
    """With external-secrets: the entry of the store whose text is such a config.json."""

    @model_validator(mode="after")
    def _check(self) -> "PullSecretSettings":
        _check_source(self.provider, self.remote, self.file, "file")
        return self

    def secret_set(self) -> SecretSet:
        return SecretSet(
            name=IMAGE_PULL,
            kind=self.provider,
            type=SecretType.DOCKER_CONFIG,
            files={DOCKER_CONFIG_ENTRY: self.file} if self.file else {},
            remote=self.remote or "",
        )


def _check_source(kind: SecretKind, remote: str | None, files: object, key: str) -> None:
    if kind is SecretKind.EXTERNAL_SECRETS and (files or not remote):
        raise ValueError(
            f"external-secrets needs remote, and no {key}: its content is in the store"
        )
    if kind is not SecretKind.EXTERNAL_SECRETS and (remote or not files):
        raise ValueError(f"{kind} needs {key}, and no remote")


def secret_sets(
    own: Sequence[SecretSetSettings], for_images: PullSecretSettings | None
) -> tuple[SecretSet, ...]:
    """All sets of a project, by name."""
    found = [each.secret_set() for each in own]
    if for_images is not None:
        found.append(for_images.secret_set())
    return tuple(sorted(found, key=lambda each: each.name))


def check_secret_sets(
    sets: Sequence[SecretSet], taken: str | None, secrets: SecretsSettings
) -> None:
    """Raises ValueError for a name that is there twice, or `taken` by the database's, and for a missing store."""
    names = [each.name for each in sets] + ([taken] if taken else [])
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"there are two secrets {name!r}")
    if secrets.external_secrets is None and any(each.remote for each in sets):
        raise ValueError("external-secrets needs secrets.external_secrets")


def check_not_ours(sets: Sequence[SecretSet], manager: BaseModel, data_directory: Path) -> None:
    """What the manager itself works with never reaches a preview, by whatever name. Raises ValueError.

    `manager` is the whole configuration; the projects' own secrets are no part of what is looked at in it.
    """
    own = dict(_files_of(manager, ""))
    for each in sets:
        for file in each.files.values():
            for folder in (data_directory, SERVICE_ACCOUNT):
                if file.resolve().is_relative_to(folder.resolve()):
                    raise ValueError(
                        f"{file} of secret {each.name} lies in {folder}, which is the manager's own"
                    )
            for key, ours in own.items():
                if _is_same(file, ours):
                    raise ValueError(
                        f"{file} of secret {each.name} is the manager's own, as {key}: "
                        "no preview may have that"
                    )


def _files_of(value: object, key: str) -> Iterator[tuple[str, Path]]:
    """Every file that is named below, by its key, but for those of sets."""
    if isinstance(value, (SecretSetSettings, PullSecretSettings)):
        return
    if isinstance(value, Path):
        yield key, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _files_of(getattr(value, name), f"{key}.{name}" if key else name)
    elif isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from _files_of(each, f"{key}.{index}")


def _is_same(file: Path, other: Path) -> bool:
    """Also by another name for it."""
    try:
        return file.samefile(other)
    except OSError:
        return file.resolve() == other.resolve()
