"""The pull request that most tests tell of, where they need no forge; what matters to a test is replaced in it."""

from previews.domain.preview import HeadSha, PullRequest

PULL_REQUEST = PullRequest(
    repository="acme/shop",
    number=42,
    is_open=True,
    head_sha=HeadSha("a" * 40),
    head_branch="feature",
    base_branch="main",
    title="Show the price",
    author="octocat",
    url="https://forge.example/acme/shop/pull/42",
    from_fork=False,
)
