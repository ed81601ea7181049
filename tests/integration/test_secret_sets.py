"""Projects' own secrets with real files, real sealing, the chart, and external-secrets' own schema."""

import base64
import json
import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from previews.adapters.secrets.external import ExternalSecrets, SecretStore
from previews.adapters.secrets.files import BYTES_MAX, SecretFiles
from previews.domain import labels
from previews.domain.database import Secret, SecretKind, SecretType
from previews.domain.preview import Parcel, PreviewKey
from previews.domain.resource_ports import SecretSource
from previews.domain.secret_set import (
    DOCKER_CONFIG_ENTRY,
    IMAGE_PULL,
    SecretSet,
    as_part,
    manifest_of,
    parameters_of,
    parts_of,
    remote_id,
)
from previews.errors import ConfigurationError, StalledError
from previews.settings import Settings, load_settings
from tests.contract.test_secret_delivery_contract import DirectWorld, KubernetesWorld, SealedWorld
from tests.fakes import sealing_controller
from tests.fakes.secret_source import FakeSecretSource
from tests.kinds import forbid_unknown, module_folder, schemas_in, with_defaults
from tests.rendered import APP_VALUES, PREVIEW_APP, by_kind, render

SHOP_42 = PreviewKey("shop", 42)
CANARY = "canary-Pa55word-never-to-be-seen"
DOCKER = json.dumps({"auths": {"registry.example": {"auth": "Y2FuYXJ5"}}})


def sealed_set(**files: Path) -> SecretSet:
    return SecretSet(name="shop", kind=SecretKind.SEALED_SECRETS, files=files)


def for_images(file: Path) -> SecretSet:
    return SecretSet(
        name=IMAGE_PULL,
        kind=SecretKind.SEALED_SECRETS,
        type=SecretType.DOCKER_CONFIG,
        files={DOCKER_CONFIG_ENTRY: file},
    )


# every source of them


class Source:
    """Files, and who reads them."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.folder = folder
        self.fake = FakeSecretSource() if kind == "fake" else None
        self.source: SecretSource = self.fake or SecretFiles(folder / "ids.key")

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        if self.fake:
            self.fake.files[file] = text
        else:
            file.write_text(text)
        return file


@pytest.fixture(params=["fake", "files"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    return Source(request.param, tmp_path)


def test_what_is_in_a_file_is_read_anew_each_time(source: Source) -> None:
    wanted = sealed_set(API_KEY=source.write("api-key", "one"))
    first = source.source.read("shop", wanted)
    source.write("api-key", "two")
    second = source.source.read("shop", wanted)
    assert [dict(each.data) for each in (first, second)] == [{"API_KEY": "one"}, {"API_KEY": "two"}]
    assert first.id != second.id


def test_the_same_content_has_the_same_id_and_no_other_project_s(source: Source) -> None:
    wanted = sealed_set(API_KEY=source.write("api-key", CANARY))
    assert source.source.read("shop", wanted) == source.source.read("shop", wanted)
    assert source.source.read("shop", wanted).id != source.source.read("api", wanted).id


def test_a_file_that_is_not_there_is_named(source: Source) -> None:
    with pytest.raises(StalledError, match="nowhere") as caught:
        source.source.read("shop", sealed_set(API_KEY=Path("/nowhere/at-all")))
    assert caught.value.reason == "SecretFileMissing"
    assert "shop" in caught.value.message


def test_what_is_no_docker_config_is_refused_without_being_quoted(source: Source) -> None:
    with pytest.raises(StalledError) as caught:
        source.source.read("shop", for_images(source.write("config.json", CANARY)))
    assert caught.value.reason == "SecretFileUnusable"
    assert CANARY not in caught.value.message


def test_what_lies_in_a_store_is_known_by_its_place(source: Source) -> None:
    remote = SecretSet(name="shop", kind=SecretKind.EXTERNAL_SECRETS, remote="team/shop")
    content = source.source.read("shop", remote)
    assert (content.id, dict(content.data)) == (remote_id("team/shop"), {})


def test_nothing_of_it_is_shown(source: Source) -> None:
    wanted = sealed_set(API_KEY=source.write("api-key", CANARY))
    content = source.source.read("shop", wanted)
    assert CANARY not in repr(content)


# the files


def test_the_key_is_made_once_and_for_the_manager_alone(tmp_path: Path) -> None:
    wanted = sealed_set(A=tmp_path / "a")
    (tmp_path / "a").write_text("one")
    first = SecretFiles(tmp_path / "ids.key").read("shop", wanted)
    assert (tmp_path / "ids.key").stat().st_mode & 0o777 == 0o600
    assert SecretFiles(tmp_path / "ids.key").read("shop", wanted) == first
    (tmp_path / "ids.key").unlink()
    assert SecretFiles(tmp_path / "ids.key").read("shop", wanted).id != first.id


def test_a_key_that_was_half_written_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "ids.key").write_bytes(b"short")
    (tmp_path / "ids.new").write_bytes(b"left by a crash")
    (tmp_path / "a").write_text("one")
    SecretFiles(tmp_path / "ids.key").read("shop", sealed_set(A=tmp_path / "a"))
    assert len((tmp_path / "ids.key").read_bytes()) == 32


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"one\n", "one"),
        (b"one\r\n", "one"),
        (b" one ", " one "),
        (b"-----BEGIN\nabc\n-----END\n", "-----BEGIN\nabc\n-----END\n"),
    ],
)
def test_a_single_line_is_taken_without_its_end(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "a").write_bytes(content)
    found = SecretFiles(tmp_path / "ids.key").read("shop", sealed_set(A=tmp_path / "a"))
    assert found.data == {"A": text}


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\xff" + CANARY.encode(), f"{CANARY}\0".encode(), CANARY.encode() * 20_000],
    ids=["empty", "one line", "no text", "zero byte", "large"],
)
def test_what_no_secret_can_hold_is_refused_without_being_quoted(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(StalledError) as caught:
        SecretFiles(tmp_path / "ids.key").read("shop", sealed_set(A=tmp_path / "a"))
    assert caught.value.reason == "SecretFileUnusable"
    assert CANARY not in str(caught.value.__cause__) + caught.value.message


def test_a_set_that_kubernetes_would_refuse_for_its_size_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("x" * (BYTES_MAX - 1))
    with pytest.raises(StalledError, match="larger than"):
        SecretFiles(tmp_path / "ids.key").read(
            "shop", sealed_set(A=tmp_path / "a", B=tmp_path / "b")
        )


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StalledError) as caught:
        SecretFiles(tmp_path / "ids.key").read("shop", sealed_set(A=tmp_path))
    assert caught.value.reason == "SecretFileMissing"


@pytest.mark.parametrize(
    "text", ["{}", '{"auths": {}}', "[]", '{"auths": {"r": {}}}', '{"credsStore": "desktop"}', "{"]
)
def test_credentials_that_a_node_cannot_use_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "c").write_text(text)
    with pytest.raises(StalledError, match="credential helpers"):
        SecretFiles(tmp_path / "ids.key").read("shop", for_images(tmp_path / "c"))


# several in one file


def test_what_was_joined_comes_apart_to_the_byte() -> None:
    parts = [as_part('a: 1\nb: "---"\n'), as_part("c: 2\n")]
    assert parts_of("".join(parts)) == parts
    assert parts_of("") == []
    assert list(yaml.safe_load_all("".join(parts))) == [{"a": 1, "b": "---"}, {"c": 2}]
    assert manifest_of(parts[1]) == "c: 2\n"


# the ways


def secret(type_: SecretType = SecretType.OPAQUE, **other: Any) -> Secret:  # noqa: ANN401
    docker = type_ is SecretType.DOCKER_CONFIG
    return Secret(
        key=SHOP_42,
        namespace="preview-shop-pr-42",
        name=IMAGE_PULL if docker else "shop",
        credential=other.pop("credential", "c-1"),
        labels=labels.ownership("acme", SHOP_42),
        data={} if other else {DOCKER_CONFIG_ENTRY if docker else "API_KEY": DOCKER},
        type=type_,
        **other,
    )


def test_credentials_for_images_are_sealed_as_such(tmp_path: Path) -> None:
    with ExitStack() as stack:
        world = SealedWorld(stack, tmp_path)
        manifest = world.delivery.deliver(secret(SecretType.DOCKER_CONFIG))
    document = yaml.safe_load(manifest)
    assert document["spec"]["template"]["type"] == "kubernetes.io/dockerconfigjson"
    assert sealing_controller.unseal(manifest, 0) == {DOCKER_CONFIG_ENTRY: DOCKER}


def test_credentials_for_images_are_applied_as_such(tmp_path: Path) -> None:
    with ExitStack() as stack:
        world = DirectWorld(stack, tmp_path)
        world.delivery.deliver(secret(SecretType.DOCKER_CONFIG))
        path = f"/api/v1/namespaces/preview-shop-pr-42/secrets/{IMAGE_PULL}"
        found = world.cluster.objects[path]
    assert found["type"] == "kubernetes.io/dockerconfigjson"
    assert base64.b64decode(found["data"][DOCKER_CONFIG_ENTRY]).decode() == DOCKER


REMOTE = secret(remote="team/shop", credential=remote_id("team/shop"))
REMOTE_DOCKER = secret(
    SecretType.DOCKER_CONFIG, remote="team/registry", credential=remote_id("team/registry")
)


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    """Of the kind in the version that the Go module here pins."""
    folder = module_folder("external-secrets", "github.com/external-secrets/external-secrets")
    file = folder / "config/crds/bases/external-secrets.io_externalsecrets.yaml"
    return schemas_in(file)["external-secrets.io/v1", "ExternalSecret"]


def external(stack: ExitStack, folder: Path, store: str = "vault") -> ExternalSecrets:
    """Without a command: nothing is put anywhere."""
    world = KubernetesWorld(stack, folder)
    return ExternalSecrets(api=world.api, instance="acme", store=SecretStore(name=store))


@pytest.mark.parametrize("wanted", [REMOTE, REMOTE_DOCKER], ids=["set", "images"])
def test_what_lies_in_a_store_is_referred_to_in_words_that_the_controller_knows(
    schema: dict[str, Any], tmp_path: Path, wanted: Secret
) -> None:
    with ExitStack() as stack:
        document = yaml.safe_load(external(stack, tmp_path).deliver(wanted))
    assert with_defaults(document, schema) == document
    target = document["spec"]["target"]["template"]
    assert target["type"] == wanted.type.value
    document.pop("metadata")
    jsonschema.validate(document, forbid_unknown(schema))


def test_pods_can_wait_for_what_lies_in_a_store(tmp_path: Path) -> None:
    with ExitStack() as stack:
        document = yaml.safe_load(external(stack, tmp_path).deliver(REMOTE))
    template = document["spec"]["target"]["template"]
    assert template["mergePolicy"] == "Merge"
    assert template["data"] == {f"credential-{REMOTE.credential}": "present"}
    assert document["spec"]["dataFrom"][0]["extract"]["key"] == "team/shop"


def test_a_reference_is_known_again_by_its_place_and_store(tmp_path: Path) -> None:
    with ExitStack() as stack:
        delivery = external(stack, tmp_path)
        for wanted in (REMOTE, REMOTE_DOCKER):
            manifest = delivery.deliver(wanted)
            place = (SHOP_42, wanted.namespace, wanted.name)
            assert delivery.credential_of(*place, manifest) == wanted.credential
            moved = manifest.replace("team/", "other/")
            assert delivery.credential_of(*place, moved) == ""
    with ExitStack() as stack:
        elsewhere = external(stack, tmp_path, store="other")
        assert elsewhere.credential_of(*place, manifest) == ""


# the chart


def told(*parcels: Parcel) -> list[str]:
    """As Argo CD passes parameters on."""
    return [
        part
        for name, value in parameters_of(parcels).items()
        for part in ("--set-string", f"{name}={value}")
    ]


OWN = Parcel(name="shop", id="a1", kind="sealed-secrets")
OTHER = Parcel(name="more", id="b2", kind="sealed-secrets")
PULL = Parcel(name=IMAGE_PULL, id="c3", kind="sealed-secrets")
MIGRATED = {
    **APP_VALUES,
    "database": {"secret": "database", "credential": "k7"},
    "migrate": {"command": ["/shop", "migrate"]},
}


def test_pods_and_migrations_find_the_sets_and_wait_for_what_is_in_them(helm: str) -> None:
    found = by_kind(render(helm, PREVIEW_APP, MIGRATED, *told(OTHER, OWN)))
    for kind in ("Deployment", "Job"):
        (container,) = found[kind]["spec"]["template"]["spec"]["containers"]
        assert [each["secretRef"]["name"] for each in container["envFrom"]] == [
            "more",
            "shop",
            "database",
        ]
        waits = [e["valueFrom"]["secretKeyRef"] for e in container["env"] if "valueFrom" in e]
        assert {"name": "shop", "key": "credential-a1"} in waits
        assert {"name": "more", "key": "credential-b2"} in waits


def test_other_content_makes_other_pods_but_for_what_images_are_pulled_with(helm: str) -> None:
    def pods(*parcels: Parcel) -> object:
        objects = by_kind(render(helm, PREVIEW_APP, APP_VALUES, *told(*parcels)))
        return objects["Deployment"]["spec"]["template"]

    assert pods(PULL, OWN) == pods(replace(PULL, id="d4"), OWN)
    assert pods(PULL, OWN) != pods(PULL, replace(OWN, id="1e1"))


def test_images_are_pulled_with_the_one_for_them(helm: str) -> None:
    objects = by_kind(render(helm, PREVIEW_APP, APP_VALUES, *told(PULL)))
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == [{"name": IMAGE_PULL}]
    assert "envFrom" not in pod["containers"][0]


# the configuration


@pytest.fixture
def configuration(tmp_path: Path) -> dict[str, Any]:
    for name in ("token", "hook", "api", "kubeconfig", "git", "registry", "db", "own"):
        (tmp_path / name).write_text(name)
    return {
        "instance": "acme",
        "data_directory": str(tmp_path / "data"),
        "forge": {
            "kind": "gitea",
            "api_url": "https://gitea.example",
            "token_file": str(tmp_path / "token"),
            "webhook_secret_files": [str(tmp_path / "hook")],
        },
        "gitops": {
            "url": "https://gitea.example/a/gitops.git",
            "password_file": str(tmp_path / "git"),
        },
        "server": {"api_token_file": str(tmp_path / "api")},
        "kubernetes": {"kubeconfig": str(tmp_path / "kubeconfig")},
        "registry_credentials_file": str(tmp_path / "registry"),
        "databases": [{"name": "main", "host": "db", "password_file": str(tmp_path / "db")}],
        "domain": {"zone": "preview.example"},
        "projects": [
            {
                "name": "shop",
                "repository": "acme/shop",
                "image": {"repository": "registry.example/shop"},
                "deploy": {
                    "helm": {"repository_url": "https://gitea.example/a/c.git", "path": "app"}
                },
                "hostname": "shop-{number}.preview.example",
            }
        ],
    }


def load(
    tmp_path: Path, configuration: dict[str, Any], *sets: object, pull: object = None
) -> Settings:
    shop = configuration["projects"][0]
    shop["secrets"] = list(sets)
    if pull:
        shop["image"]["pull_secret"] = pull
    file = tmp_path / "previews.yaml"
    file.write_text(yaml.safe_dump(configuration))
    return load_settings(file)


def test_a_project_names_its_secrets(tmp_path: Path, configuration: dict[str, Any]) -> None:
    own = {"name": "shop", "files": {"API_KEY": str(tmp_path / "own")}}
    lying = {"name": "more", "provider": "external-secrets", "remote": "team/shop"}
    configuration["secrets"] = {"external_secrets": {"store": "vault"}}
    settings = load(tmp_path, configuration, own, lying, pull={"file": str(tmp_path / "own")})
    found = settings.project_map()["shop"].secrets
    assert [(each.name, each.kind.value, each.remote) for each in found] == [
        (IMAGE_PULL, "sealed-secrets", ""),
        ("more", "external-secrets", "team/shop"),
        ("shop", "sealed-secrets", ""),
    ]
    assert found[0].type is SecretType.DOCKER_CONFIG


def test_a_file_that_is_missing_keeps_no_manager_from_starting(
    tmp_path: Path, configuration: dict[str, Any]
) -> None:
    own = {"name": "shop", "files": {"API_KEY": str(tmp_path / "nowhere")}}
    assert load(tmp_path, configuration, own).project_map()["shop"].secrets


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("token", "forge.token_file"),
        ("hook", "forge.webhook_secret_files.0"),
        ("api", "server.api_token_file"),
        ("kubeconfig", "kubernetes.kubeconfig"),
        ("git", "gitops.password_file"),
        ("registry", "registry_credentials_file"),
        ("db", "databases.0.password_file"),
    ],
)
@pytest.mark.parametrize("by", ["itself", "a link", "another name", "what images are pulled with"])
def test_what_the_manager_works_with_reaches_no_preview(
    tmp_path: Path, configuration: dict[str, Any], name: str, key: str, by: str
) -> None:
    file, other = tmp_path / name, tmp_path / "other"
    if by == "a link":
        other.symlink_to(file)
    elif by == "another name":
        os.link(file, other)
    taken = str(other if other.exists() else file)
    pull = {"file": taken} if by == "what images are pulled with" else None
    sets = [] if pull else [{"name": "shop", "files": {"API_KEY": taken}}]
    with pytest.raises(ConfigurationError, match=key) as caught:
        load(tmp_path, configuration, *sets, pull=pull)
    assert "no preview may have that" in caught.value.message


@pytest.mark.parametrize("file", ["data/secret-ids.key", "data/previews.sqlite3"])
def test_nothing_of_the_data_directory_reaches_a_preview(
    tmp_path: Path, configuration: dict[str, Any], file: str
) -> None:
    with pytest.raises(ConfigurationError, match="manager's own"):
        load(tmp_path, configuration, {"name": "a", "files": {"A": str(tmp_path / file)}})


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ([{"name": "image-pull", "files": {"A": "/x"}}], "image.pull_secret"),
        ([{"name": "a", "files": {"A": "/x"}}, {"name": "a", "files": {"A": "/x"}}], "two secrets"),
        ([{"name": "a"}], "needs files"),
        ([{"name": "a", "files": {"A": "/x"}, "remote": "r"}], "no remote"),
        ([{"name": "a", "files": {"A-B": "/x"}}], "pattern"),
        ([{"name": "a", "files": {"A": "x"}}], "absolute"),
        ([{"name": "a", "provider": "external-secrets", "files": {"A": "/x"}}], "needs remote"),
        (
            [{"name": "a", "provider": "external-secrets", "remote": "r"}],
            "secrets.external_secrets",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, configuration: dict[str, Any], sets: list[object], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load(tmp_path, configuration, *sets)
