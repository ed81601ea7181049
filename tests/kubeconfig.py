"""A kubeconfig of one cluster and one user, which is all that a test or a measurement needs."""

import json
from pathlib import Path
from typing import Any

NAME = "it"


def kubeconfig(
    server_url: str, token: str, *, ca_file: Path | None = None, namespace: str = "default"
) -> dict[str, Any]:
    """What kubectl reads. Without `ca_file` the server speaks plain HTTP, or is one of the machine's own trust."""
    authority = {"certificate-authority": str(ca_file)} if ca_file else {}
    context = {"cluster": NAME, "user": NAME, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": {"server": server_url, **authority}}],
        "users": [{"name": NAME, "user": {"token": token}}],
        "contexts": [{"name": NAME, "context": context}],
        "current-context": NAME,
    }


def write_kubeconfig(file: Path, server_url: str, token: str = "t") -> Path:
    """One for a server that speaks plain HTTP. Comes back with the file."""
    file.write_text(json.dumps(kubeconfig(server_url, token)), encoding="utf-8")
    return file
