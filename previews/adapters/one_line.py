"""Texts from outside systems, made fit for one line of a status or a log."""


def one_line(text: str, length_max: int) -> str:
    """Without control, formatting and line-breaking characters; cut to `length_max` with an ellipsis."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= length_max else f"{line[: length_max - 1]}…"
