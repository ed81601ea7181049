"""What the tests of everything that a pull request shows have in common: one preview, and how Markdown is rendered."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from previews.domain.lifetime import Anchor, Expiry
from previews.domain.preview import Phase, PreviewKey, PullRequest, parse_head_sha
from previews.domain.record import PreviewRecord
from previews.domain.subject import Subject

HEAD = parse_head_sha("c" * 40)
URL = "https://pr-42.preview.example/"
MARKER = "<!-- previews:acme -->"
SHOWN_AT = datetime(2026, 3, 2, 12, 3, 20, tzinfo=UTC)
PULL_REQUEST = PullRequest(
    repository="acme/shop",
    number=42,
    is_open=True,
    head_sha=HEAD,
    head_branch="feature",
    base_branch="main",
    title="A title",
    author="alice",
    url="https://f.example/42",
    from_fork=False,
)
RECORD = PreviewRecord(key=PreviewKey("shop", 42), pull_request=PULL_REQUEST, shown_at=SHOWN_AT)
EXPIRY = Expiry(
    at=datetime(2026, 3, 5, 15, tzinfo=UTC),
    anchor=Anchor.LAST_PUSH,
    anchored_at=datetime(2026, 3, 2, 15, tzinfo=UTC),
    ttl=timedelta(days=3),
)

HOSTILE_TEXTS = (
    "@acme/admins @alice",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "[click](javascript:alert(1)) ![](https://evil.example/x.png)",
    "<javascript:alert(1)> <https://evil.example>",
    "https://evil.example/?q=1 www.evil.example mail@evil.example",
    "[vc]: https://evil.example\n[vc]",
    "invoice \u202efdp.exe \u200b\u2066hidden\u2069",
    "| a cell | more |\n| --- |",
    "--> <!-- previews-json: {} -->",
    "```\nfence\n```` more",
    "fixes #1, acme/shop#2, GH-3, gh-4",
    "_www.evil.example (www.evil.example ~www.evil.example, fixes !7, acme/shop!8",
    "&lt;b&gt; &#64;alice &commat;alice",
    "</details><details open>",
    "\\@alice \\[x](y) \\<b>",
    "# heading\n- list\n> quote\n~~gone~~ **bold** __bold__",
    "a" * 100_000,
)
"""What somebody might put into a title, a branch, a name or the answer of a registry."""
HOSTILE = st.one_of(
    st.text(min_size=1, max_size=400),
    st.sampled_from(HOSTILE_TEXTS),
    st.lists(st.sampled_from("<>[]()!`@#|\\*_~-:/. \nwjGHa1"), min_size=1, max_size=60).map(
        "".join
    ),
)

_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def subject(phase: Phase, message: str = "", *, failed: bool = False, reason: str = "") -> Subject:
    """The preview in some phase."""
    record = replace(RECORD, phase=phase, message=message, failed=failed, reason=reason)
    return Subject(record, URL)


def of_project(project: str, phase: Phase = Phase.LIVE, message: str = "") -> Subject:
    """One of another project at the same pull request."""
    record = replace(RECORD, key=PreviewKey(project, 42), phase=phase, message=message)
    return Subject(record, f"https://{project}-42.preview.example/")


def rendered(markdown: str) -> str:
    """As HTML."""
    return str(_MARKDOWN.render(markdown))


def pieces(markdown: str) -> Iterator[Token]:
    """All that a text is made of, what is inside a line included."""
    for token in _MARKDOWN.parse(markdown):
        yield token
        yield from token.children or ()


def row_of(text: str, project: str = "shop") -> list[str]:
    """The cells of a project's row, without what stands beside them."""
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {project} |")]
    return [cell.strip() for cell in row.strip("|").split(" | ")]
