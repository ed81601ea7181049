"""Whether the GitOps repository can be read and written, as far as can be asked without writing. For the doctor."""

from previews.adapters.gitops import TIP, GitRepository
from previews.domain.ports import Tree


class PushCheck(GitRepository):
    """On a clone of its own: the manager's is never shared."""

    def try_push(self) -> Tree:
        """Fetch the branch, and ask the server for a push of what it has already. Raises PreviewsError.

        Git sends nothing then; the server has looked at who asks. What a protected branch or a hook refuses shows only
        when something is pushed.
        """
        tree = self.fetch()
        ended = self._git.run(
            "push", "--dry-run", "--no-verify", "--", self._url, f"{TIP}:{self._branch}"
        )
        if ended.code:
            raise self._failure("push to", ended)
        return tree
