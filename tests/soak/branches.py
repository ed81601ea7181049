"""Every commit that the lives will push, made before the first of them: one through the API costs Gitea a second."""

import subprocess
from collections.abc import Iterator, Sequence

from previews.domain.preview import HeadSha, parse_head_sha
from tests.soak.lives import Act, Step
from tests.world.checkout import Checkout

BRANCHES_PER_PUSH = 100
REFERENCES = "refs/lives"
AUTHOR = "somebody <somebody@example.com> 1700000000 +0000"


class Branches:
    """A branch for each life, in one clone, with the commits that it gets in the course of time."""

    def __init__(self, checkout: Checkout, scripts: Sequence[Sequence[Step]]) -> None:
        self._checkout = checkout
        self._scripts = scripts
        self._commits: dict[str, HeadSha] = {}

    def prepare(self) -> None:
        """Make the commits, and push the first one of each branch."""
        base = self._checkout.git("rev-parse", "main")
        subprocess.run(
            ["git", "fast-import", "--quiet"],
            cwd=self._checkout.directory,
            input="".join(self._stream(base)).encode(),
            check=True,
        )
        listed = self._checkout.git("for-each-ref", "--format=%(refname) %(objectname)", REFERENCES)
        for line in listed.splitlines():
            reference, commit = line.split()
            self._commits[reference] = parse_head_sha(commit)
        for start in range(0, len(self._scripts), BRANCHES_PER_PUSH):
            some = range(start, min(start + BRANCHES_PER_PUSH, len(self._scripts)))
            self._checkout.git("push", "--quiet", "origin", *(self._target(it, 0) for it in some))

    def commit(self, life: int, index: int) -> HeadSha:
        """The commit with this place on a life's branch."""
        return self._commits[_reference(life, index)]

    def push(self, life: int, index: int) -> HeadSha:
        """Have the forge's branch point to it; nothing happens if it does. Raises RuntimeError in git's words."""
        self._checkout.git("push", "--quiet", "origin", self._target(life, index))
        return self.commit(life, index)

    def _target(self, life: int, index: int) -> str:
        return f"{self.commit(life, index)}:refs/heads/{branch_of(life)}"

    def _stream(self, base: str) -> Iterator[str]:
        """What git fast-import reads."""
        for life, steps in enumerate(self._scripts):
            for index in range(1 + sum(step.act is Act.PUSH for step in steps)):
                text = f"{life} {index}"
                parent = _reference(life, index - 1) if index else base
                yield (
                    f"commit {_reference(life, index)}\ncommitter {AUTHOR}\n"
                    f"data {len(text)}\n{text}\nfrom {parent}\n"
                    f"M 100644 inline lives/{life}.txt\ndata {len(text)}\n{text}\n"
                )


def branch_of(life: int) -> str:
    return f"life-{life}"


def _reference(life: int, index: int) -> str:
    return f"{REFERENCES}/{life}/{index}"
