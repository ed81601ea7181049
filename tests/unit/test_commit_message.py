"""The message of a commit in the GitOps repository."""

from hypothesis import given

from previews.domain.commit_message import Change, commit_message
from previews.domain.preview import PreviewKey, Stage
from tests.unit.subjects import HEAD, HOSTILE


@given(HOSTILE)
def test_a_commit_message_has_one_trailer_for_each_preview(actor: str) -> None:
    changes = [
        Change(PreviewKey("shop", 42), Stage.WHOLE, HEAD, actor),
        Change(PreviewKey("shop", 7), Stage.NOTHING, None, actor),
    ]
    lines = commit_message("acme", changes).splitlines()
    assert lines[0] == "Deploy 1, remove 1 previews"
    assert sum(line.startswith("Preview: ") for line in lines) == 2
    assert len(lines) == 5
