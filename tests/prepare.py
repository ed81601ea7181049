"""Run before pytest by `make test`: fetches BIND for tests of DNS, and brings the local cluster up where it can run.

Where one cannot be had, says why; its tests are then skipped, which with CI=true fails the run.
"""

import os
import subprocess
import sys

from tests.bind.installation import fetch
from tests.cluster import preflight, running


def main() -> int:
    if problem := fetch():
        print(f"tests with a real name server are skipped: {problem}")
    missing = preflight()
    if missing:
        print(f"end-to-end tests are skipped: {missing}")
        return 0
    code = subprocess.call([sys.executable, "-m", "tests.cluster", "up"])
    if code == 0 or os.environ.get("CI") == "true":
        return int(code != 0)
    if running() is None:
        print("end-to-end tests are skipped: the local cluster did not come up")
    return 0


if __name__ == "__main__":
    sys.exit(main())
