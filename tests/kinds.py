"""The schemas of kinds that are not Kubernetes' own, from the Go modules that define them, and as strict as can be."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.builds import SOURCES
from tests.cluster.go_builds import go_environment


def module_folder(pinned_in: str, module: str) -> Path:
    """The module in the version that tests/cluster/go/<pinned_in> names. Skips the test where it cannot be had."""
    go = shutil.which("go")
    if go is None:
        pytest.skip(f"there is no Go to fetch {module} with")
    ended = subprocess.run(
        [go, "mod", "download", "-json", module],
        cwd=SOURCES / "go" / pinned_in,
        env=go_environment(cgo=False),
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    if ended.returncode:
        pytest.skip(f"{module} cannot be had: {ended.stderr.strip()[-200:]}")
    return Path(json.loads(ended.stdout)["Dir"])


def schemas_in(file: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Of every version that the definitions in a file serve, by apiVersion and kind."""
    return {
        (f"{spec['group']}/{version['name']}", spec["names"]["kind"]): version["schema"][
            "openAPIV3Schema"
        ]
        for spec in (
            each["spec"]
            for each in yaml.load_all(file.read_text(), Loader=yaml.CSafeLoader)
            if each
        )
        for version in spec["versions"]
        if version["served"]
    }


def with_defaults(value: Any, schema: dict[str, Any]) -> Any:  # noqa: ANN401
    """As the API server keeps it."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        added = {
            name: each["default"]
            for name, each in properties.items()
            if "default" in each and name not in value
        }
        return {
            name: with_defaults(item, properties.get(name, {}))
            for name, item in {**value, **added}.items()
        }
    if isinstance(value, list):
        return [with_defaults(item, schema.get("items", {})) for item in value]
    return value


def forbid_unknown(schema: Any) -> Any:  # noqa: ANN401
    """What the API server would drop in silence is an error here."""
    if isinstance(schema, list):
        return [forbid_unknown(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: forbid_unknown(each) for name, each in schema.items()}
    is_open = closed.get("x-kubernetes-preserve-unknown-fields")
    if (
        isinstance(closed.get("properties"), dict)
        and closed.get("type") == "object"
        and not is_open
    ):
        closed.setdefault("additionalProperties", False)
    return closed
