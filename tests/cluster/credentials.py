"""Tokens, passwords and certificates of one cluster: made once by `up`, kept with its state."""

import json
import os
import secrets
import subprocess
from pathlib import Path

from tests.cluster.layout import LOOPBACK, NODE_NAME, Layout
from tests.cluster.progress import StepError

CERTIFICATE_DAYS = "3650"
TOKEN_USERS = {
    # static token name: user, groups
    "admin": ("admin", "system:masters"),
    "argocd": ("argocd", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kubelet": (f"system:node:{NODE_NAME}", "system:nodes"),
    "traefik": ("traefik", ""),
}
SECRET_NAMES = (*TOKEN_USERS, "argocd-server", "gitea-password", "gitea-key", "gitea-internal")


def ensure_secrets(layout: Layout) -> dict[str, str]:
    """Those that were made before, and new ones for names that came since."""
    found: dict[str, str] = {}
    if layout.secrets_file.exists():
        found = json.loads(layout.secrets_file.read_text())
    missing = [name for name in SECRET_NAMES if name not in found]
    if missing:
        found |= {name: secrets.token_hex(20) for name in missing}
        write_private(layout.secrets_file, json.dumps(found))
    return found


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and for its owner only."""
    partial = path.with_name(f"{path.name}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)


def token_file_text(tokens: dict[str, str]) -> str:
    lines = []
    for name, (user, group) in TOKEN_USERS.items():
        groups = f',"{group}"' if group else ""
        lines.append(f"{tokens[name]},{user},{name}{groups}\n")
    return "".join(lines)


def ensure_certificates(layout: Layout) -> None:
    """One authority; one certificate to serve the API, and one to ask the kubelet for logs with."""
    folder = layout.pki
    if (folder / "complete").exists():
        return
    openssl("genpkey", "-algorithm", "RSA", "-out", str(folder / "service-account.key"))
    # Python 3.13 and newer refuse an authority that does not say what its key is for.
    authority = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
    new_certificate(folder, "ca", "/CN=previews-cluster", authority)
    names = f"DNS:localhost,DNS:kubernetes.default.svc,IP:{LOOPBACK}"
    serving = ["basicConstraints=CA:FALSE", f"subjectAltName={names}"]
    new_certificate(folder, "apiserver", "/CN=kube-apiserver", serving, authority="ca")
    client = ["basicConstraints=CA:FALSE", "extendedKeyUsage=clientAuth"]
    new_certificate(
        folder, "kubelet-client", "/O=system:masters/CN=kube-apiserver", client, authority="ca"
    )
    (folder / "complete").touch()


def new_certificate(
    folder: Path, name: str, subject: str, extensions: list[str], authority: str | None = None
) -> None:
    signed = ["-CA", f"{folder}/{authority}.crt", "-CAkey", f"{folder}/{authority}.key"]
    openssl(
        *("req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-days", CERTIFICATE_DAYS, "-subj", subject),
        *("-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt"),
        *(signed if authority else ()),
        *(part for extension in extensions for part in ("-addext", extension)),
    )


def openssl(*arguments: str) -> None:
    ended = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise StepError(f"openssl {arguments[0]} failed: {ended.stderr.strip()}")
