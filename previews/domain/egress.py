"""What a project's previews may reach of the networks that are closed to them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A place and its TCP ports: either a network or a namespace of the cluster."""

    cidr: str = ""
    """`10.20.0.5/32`. Empty: it is a namespace."""
    namespace: str = ""
    ports: tuple[int, ...]
