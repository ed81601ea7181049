"""Keeps what a program or a server said from repeating a secret that it was given."""

import base64
import json
from collections.abc import Iterable

from previews.adapters.one_line import one_line

PIECE_LENGTH = 8
"""Of a generated password this much is as good as nothing."""
SHORT_LENGTH_MIN = 4
"""What is shorter than a piece is hidden whole. Texts that are shorter still stand in any words."""
WORDS_LENGTH_MAX = 300
_LOOKED_AT = 20_000


def words(said: str, secrets: Iterable[str]) -> str:
    """Fit for a log and a status: short, one line, and with no piece of a secret, in whatever form."""
    forms = {form for secret in secrets for form in _forms(secret)}
    said = said[-_LOOKED_AT:]
    keep = [True] * len(said)
    for start, end in _places(said, forms):
        keep[start:end] = [False] * (end - start)
    shown = [
        character if keep[index] else "***" if index == 0 or keep[index - 1] else ""
        for index, character in enumerate(said)
    ]
    return one_line("".join(shown), WORDS_LENGTH_MAX)


def _forms(secret: str) -> Iterable[str]:
    """As it is, as JSON writes it, which is how a program is given it, and all of that in Base64."""
    for text in {secret, *(json.dumps(secret, ensure_ascii=each)[1:-1] for each in (True, False))}:
        yield text
        # At each of the three places that it can have in a longer text; the ends depend on what stands beside it.
        for shift in range(3):
            coded = base64.b64encode(b"\0" * shift + text.encode()).decode().rstrip("=")
            yield coded[4 if shift else 0 : -2]


def _places(said: str, forms: Iterable[str]) -> Iterable[tuple[int, int]]:
    """Where any piece of them stands."""
    pieces = {piece for form in forms for piece in _pieces(form)}
    for length in {len(piece) for piece in pieces}:
        for start in range(len(said) - length + 1):
            if said[start : start + length] in pieces:
                yield start, start + length


def _pieces(text: str) -> Iterable[str]:
    if SHORT_LENGTH_MIN <= len(text) < PIECE_LENGTH:
        yield text
    for start in range(len(text) - PIECE_LENGTH + 1):
        yield text[start : start + PIECE_LENGTH]
