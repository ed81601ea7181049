"""Keeps what a program or a server said from repeating a secret that it was given."""

import base64
from collections.abc import Iterable

from previews.adapters.one_line import one_line

PIECE_LENGTH = 8
"""Of a generated password this much is as good as nothing; shorter texts, such as a port, are no secrets."""
WORDS_LENGTH_MAX = 300
_LOOKED_AT = 20_000


def words(said: str, secrets: Iterable[str]) -> str:
    """Fit for a log and a status: short, one line, and with no piece of a secret, nor of its Base64 form."""
    hidden = {piece for secret in secrets for form in _forms(secret) for piece in _pieces(form)}
    said = said[-_LOOKED_AT:]
    keep = [True] * len(said)
    for start in range(len(said) - PIECE_LENGTH + 1):
        if said[start : start + PIECE_LENGTH] in hidden:
            keep[start : start + PIECE_LENGTH] = [False] * PIECE_LENGTH
    shown = [
        character if keep[index] else "***" if index == 0 or keep[index - 1] else ""
        for index, character in enumerate(said)
    ]
    return one_line("".join(shown), WORDS_LENGTH_MAX)


def _forms(secret: str) -> Iterable[str]:
    yield secret
    # At each of the three places that it can have in a longer text; the ends depend on what stands beside it.
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + secret.encode()).decode().rstrip("=")
        yield coded[4 if shift else 0 : -2]


def _pieces(text: str) -> Iterable[str]:
    return (text[start : start + PIECE_LENGTH] for start in range(len(text) - PIECE_LENGTH + 1))
