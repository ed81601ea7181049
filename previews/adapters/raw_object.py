"""Reads fields of what Kubernetes answers. Whatever is not what it should be counts as absent. Pure."""

from collections.abc import Mapping
from typing import Any

Raw = Mapping[str, Any]


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
