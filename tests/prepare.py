"""Run before pytest by `make test`: brings the local cluster up where it can run, so that the end-to-end tests find it.

Where it cannot, says why; those tests are then skipped, which with CI=true fails the run.
"""

import os
import subprocess
import sys

from tests.cluster import preflight, running


def main() -> int:
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
