"""What a program says that was given a secret: every word of it but the secret."""

import base64
import json

import pytest

from previews.adapters.secrets.concealment import words

PASSWORDS = ["пароль-от-базы", 'a"b\\c"d\\e"f\\g', "R&D<7>\tsesame-open", "hunter2", "pass"]


@pytest.mark.parametrize("secret", PASSWORDS)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_what_echoes_its_json_tells_nothing(secret: str, *, ascii_only: bool) -> None:
    written = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
    said = words(f'bad request: {{"PGPASSWORD": "{written}"}}, try again', [secret])

    assert said == 'bad request: {"PGPASSWORD": "***"}, try again'


@pytest.mark.parametrize("secret", PASSWORDS[:3])
def test_nor_does_its_base64_form(secret: str) -> None:
    for shift in range(3):
        coded = base64.b64encode(json.dumps("x" * shift + secret).encode()).decode()
        said = words(f"refused: {coded}", [secret])
        assert coded[8:-8] not in said


def test_a_short_secret_is_hidden_whole_and_nothing_else() -> None:
    assert words("user hunter, password hunter2!", ["hunter2"]) == "user hunter, password ***!"


def test_what_stands_in_any_words_is_left() -> None:
    assert words("no entry at 3 of 10", ["3", "no", ""]) == "no entry at 3 of 10"
