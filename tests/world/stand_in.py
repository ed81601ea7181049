"""Has a manager be a GitHub App at the stand-in GitHub, whatever forge it was configured for."""

import json

from tests.github.app_tokens import APP_ID
from tests.github.standin import StandInGitHub
from tests.world.manager import Manager


def be_app(manager: Manager, github: StandInGitHub) -> None:
    """From its next start on. Its webhook secrets stay as they are."""
    configuration = json.loads((manager.directory / "previews.yaml").read_text())
    key = manager.write_secret("github-app.pem", github.app.private_key)
    forge = {
        "kind": "github",
        "api_url": github.url,
        "app": {"id": APP_ID, "private_key_file": str(key)},
        "webhook_secret_files": configuration["forge"]["webhook_secret_files"],
    }
    manager.configure({**configuration, "forge": forge})
