"""The administrator of the local forge, and the token that tests use it with."""

import base64
import json
import secrets as randomness
import subprocess
import urllib.error

from tests.cluster.components import Component, server_environment
from tests.cluster.credentials import write_private
from tests.cluster.layout import GITEA_ADMIN, GITEA_URL, Layout
from tests.cluster.progress import StepError
from tests.cluster.readiness import fetch

UNAUTHORIZED = 401


def ensure_gitea_admin(layout: Layout, gitea: Component, password: str) -> None:
    if layout.gitea_token_file.exists():
        return
    basic = base64.b64encode(f"{GITEA_ADMIN}:{password}".encode()).decode()
    if not user_exists(basic):
        create_user(layout, gitea, password)
    made = fetch(
        f"{GITEA_URL}/api/v1/users/{GITEA_ADMIN}/tokens",
        method="POST",
        # A name may be used once only, and an interrupted `up` may have used another.
        body={"name": f"previews-{randomness.token_hex(4)}", "scopes": ["all"]},
        authorization=f"Basic {basic}",
    )
    write_private(layout.gitea_token_file, json.loads(made)["sha1"])


def user_exists(basic: str) -> bool:
    try:
        fetch(f"{GITEA_URL}/api/v1/user", authorization=f"Basic {basic}")
    except urllib.error.HTTPError as error:
        with error:
            if error.code == UNAUTHORIZED:
                return False
        raise
    return True


def create_user(layout: Layout, gitea: Component, password: str) -> None:
    """Through the program itself, since nobody may register."""
    ended = subprocess.run(
        [
            *(f"{layout.bin}/gitea", "--config", f"{layout.configuration}/gitea.ini"),
            *("admin", "user", "create", "--admin", "--must-change-password=false"),
            *("--username", GITEA_ADMIN, "--email", f"{GITEA_ADMIN}@previews.localhost"),
            *("--password", password),
        ],
        env=server_environment(layout, gitea),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise StepError(f"gitea could not create {GITEA_ADMIN}: {ended.stdout}{ended.stderr}")
