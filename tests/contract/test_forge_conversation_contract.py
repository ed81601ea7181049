"""What every forge does with comments, reactions to them, and the people who write them."""

from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from previews.domain.conversation import Permission, Reaction
from previews.errors import PreviewsError, TransientError
from tests.contract.forge_places import BODY, MARKER, Place

STRANGER = "octo-stranger"


def test_comments_are_listed_in_order_with_who_wrote_them(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    assert place.forge.list_comments(place.repository, number) == []
    asked = place.world.comment(place.repository, number, "/preview\r\n\u202e <b>please</b>")
    ours = place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)

    first, second = place.forge.list_comments(place.repository, number)

    assert (first.id, second.id) == (asked, ours)
    assert (first.author, first.is_ours, second.is_ours) == (place.author, False, True)
    assert first.body.splitlines() == ["/preview", "\u202e <b>please</b>"]
    assert second.body == BODY
    assert first.created_at <= second.created_at
    assert first.created_at.tzinfo is UTC
    assert first.updated_at.tzinfo is UTC
    assert not first.is_of_bot


def test_comments_are_those_of_one_pull_request_alone(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    other = place.world.open_pull_request(place.repository)
    place.world.comment(place.repository, number, "here")
    place.world.comment(place.repository, other, "there")

    assert heard(place, number) == ["here"]
    assert heard(place, other) == ["there"]


def test_only_comments_that_are_new_or_changed_since_then_are_listed(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    for each in ("one", "two"):
        place.world.comment(place.repository, number, each)
    listed = place.forge.list_comments(place.repository, number)
    last = max(each.updated_at for each in listed)

    at_once = place.forge.list_comments(place.repository, number, since=last)
    later = place.forge.list_comments(
        place.repository, number, since=last + timedelta(microseconds=1)
    )

    assert at_once == [each for each in listed if each.updated_at == last]
    assert later == []


def test_an_edited_comment_stays_where_it_is_and_says_when(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    edited = place.world.comment(place.repository, number, "/preview slep")
    place.world.comment(place.repository, number, "two")
    before, _ = place.forge.list_comments(place.repository, number)

    place.world.edit_comment(edited, "/preview sleep")

    after, _ = place.forge.list_comments(place.repository, number)
    assert after == replace(before, body="/preview sleep", updated_at=after.updated_at)
    assert after.updated_at >= before.updated_at


def test_a_deleted_comment_is_not_listed(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    gone = place.world.comment(place.repository, number, "/preview remove")

    place.world.delete_comment(gone)

    assert place.forge.list_comments(place.repository, number) == []


def test_more_than_a_page_of_comments_is_whole(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    said = [f"comment {each}" for each in range(place.more_than_a_page)]
    for each in said:
        place.world.comment(place.repository, number, each)

    assert heard(place, number) == said


def test_comments_of_what_the_forge_does_not_show_are_an_error_and_not_none(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    place.world.comment(place.repository, number, "/preview")

    with pytest.raises(TransientError):
        place.forge.list_comments(place.repository, 4711)
    place.world.hide(place.repository)
    with pytest.raises(TransientError):
        place.forge.list_comments(place.repository, number)


def test_what_people_may_do_is_asked_of_the_forge(place: Place) -> None:
    def told() -> Permission:
        return place.forge.permission_of(place.repository, STRANGER)

    assert place.forge.permission_of(place.repository, place.author).may_write
    assert told() is Permission.NONE
    for permission in (Permission.READ, Permission.WRITE, Permission.ADMIN):
        place.world.set_permission(place.repository, STRANGER, permission)
        assert told() is permission
    place.world.set_permission(place.repository, STRANGER, Permission.NONE)
    assert not told().may_write


def test_names_that_nobody_has_may_do_nothing(place: Place) -> None:
    for nobody in ("nobody-has-this-name", "app[bot]", "-", "a b"):
        assert place.forge.permission_of(place.repository, nobody) is Permission.NONE


def test_a_name_that_leads_elsewhere_is_nobodys(place: Place) -> None:
    writer = place.author
    assert place.forge.permission_of(place.repository, writer).may_write
    led = (f"x/../{writer}", f"{writer}/", f"{writer}?", f"{writer}#")
    for odd in ("", ".", "..", "%2e%2e", *led):
        assert place.forge.permission_of(place.repository, odd) is Permission.NONE


def test_permissions_in_what_the_forge_does_not_show_are_an_error(place: Place) -> None:
    place.world.hide(place.repository)

    with pytest.raises(TransientError):
        place.forge.permission_of(place.repository, place.author)
    with pytest.raises(TransientError):
        place.forge.permission_of(place.repository, STRANGER)


def test_a_reaction_is_there_once_however_often_it_is_made(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    comment = place.world.comment(place.repository, number, "/preview")
    before = place.forge.list_comments(place.repository, number)

    for reaction in (Reaction.DONE, Reaction.DONE, Reaction.REFUSED):
        place.forge.react(place.repository, number, comment, reaction)

    assert sorted(place.world.reactions(place.repository, comment)) == ["+1", "confused"]
    assert place.forge.list_comments(place.repository, number) == before


def test_a_reaction_to_a_comment_that_is_gone_changes_nothing(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    comment = place.world.comment(place.repository, number, "/preview")
    place.world.delete_comment(comment)

    place.forge.react(place.repository, number, comment, Reaction.DONE)

    assert place.world.comments(place.repository, number) == []


def test_the_comment_is_created_once_then_updated_in_place_then_left_alone(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    place.world.comment(place.repository, number, "Looks good")

    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)
    (_, created) = place.world.comments(place.repository, number)
    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=f"{BODY}\nmore")
    (_, updated) = place.world.comments(place.repository, number)
    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=f"{BODY}\nmore")
    (_, unchanged) = place.world.comments(place.repository, number)

    assert created.body == BODY
    assert updated == replace(created, body=f"{BODY}\nmore")
    assert unchanged == updated


def test_a_comment_that_somebody_deleted_is_created_again(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)
    (ours,) = place.world.comments(place.repository, number)

    place.world.delete_comment(ours.id)
    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)

    (again,) = place.world.comments(place.repository, number)
    assert again.body == BODY
    assert again.id != ours.id


def test_somebody_elses_comment_with_our_marker_is_not_touched(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    forged = f"{MARKER}\nfree money: https://example.com"
    place.world.comment(place.repository, number, forged)

    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)

    assert bodies(place, number) == [forged, BODY]


def test_another_managers_comment_is_not_touched(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    other = "<!-- previews:other -->"
    place.forge.ensure_comment(place.repository, number, marker=other, body=f"{other}\nother")

    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)
    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=f"{BODY}\nmore")

    assert bodies(place, number) == [f"{other}\nother", f"{BODY}\nmore"]


def test_our_comment_is_found_behind_more_than_a_page_of_others(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    for each in range(place.more_than_a_page):
        place.world.comment(place.repository, number, f"comment {each}")

    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)
    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=f"{BODY}\nmore")

    assert len(bodies(place, number)) == place.more_than_a_page + 1
    assert bodies(place, number)[-1] == f"{BODY}\nmore"


def test_a_comment_on_a_pull_request_that_is_not_there_is_an_error(place: Place) -> None:
    with pytest.raises(PreviewsError):
        place.forge.ensure_comment(place.repository, 4711, marker=MARKER, body=BODY)


def test_a_comment_whose_id_is_known_is_updated_in_place(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    known = place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)
    place.world.edit_comment(known, "somebody wrote over it, marker and all")

    again = place.forge.ensure_comment(
        place.repository, number, marker=MARKER, body=f"{BODY}\nmore", known_id=known
    )

    (ours,) = place.world.comments(place.repository, number)
    assert again == known == ours.id
    assert ours.body == f"{BODY}\nmore"


def test_a_known_comment_that_somebody_deleted_is_created_again_once(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    known = place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)
    place.world.delete_comment(known)

    made, found = (
        place.forge.ensure_comment(
            place.repository, number, marker=MARKER, body=BODY, known_id=known
        )
        for _ in range(2)
    )

    (ours,) = place.world.comments(place.repository, number)
    assert made == found == ours.id
    assert made != known


def bodies(place: Place, number: int) -> list[str]:
    return [each.body for each in place.world.comments(place.repository, number)]


def heard(place: Place, number: int) -> list[str]:
    return [each.body for each in place.forge.list_comments(place.repository, number)]
