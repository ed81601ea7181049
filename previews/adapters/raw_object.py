"""Reads fields of what Kubernetes answers. Whatever is not what it should be counts as absent. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

Raw = Mapping[str, Any]

MOMENT_LENGTH_MAX = 64


def mapping(of: Raw, field: str) -> Raw:
    found = of.get(field)
    return found if isinstance(found, Mapping) else {}


def mappings(of: Raw, field: str) -> list[Raw]:
    found = of.get(field)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def text(of: Raw, field: str) -> str:
    found = of.get(field)
    return found if isinstance(found, str) else ""


def texts(of: Raw, field: str) -> list[str]:
    found = of.get(field)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def moment(of: Raw, field: str) -> datetime | None:
    """A time that says its zone."""
    try:
        found = datetime.fromisoformat(text(of, field)[:MOMENT_LENGTH_MAX])
    except ValueError:
        return None
    return found if found.tzinfo else None
