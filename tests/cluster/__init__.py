"""A real local cluster: Kubernetes, Argo CD, Traefik, an OCI registry and Gitea, without Docker.

`python -m tests.cluster up` starts it. Tests and the demo call `running()`, and skip with `preflight()`'s line.
"""

from tests.cluster.running import RunningCluster, running

__all__ = ["RunningCluster", "preflight", "running"]


def preflight(*, is_isolated: bool = False) -> str | None:
    """One line that says why the cluster cannot run on this machine, or None."""
    from tests.cluster import prerequisites  # noqa: PLC0415 importing this package is to stay cheap

    return prerequisites.preflight(is_isolated=is_isolated)
