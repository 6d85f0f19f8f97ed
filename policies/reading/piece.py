"""A piece of a file's text, and where in the file each part of it stands."""

from collections.abc import Callable
from dataclasses import dataclass


class Unreadable(Exception):
    """The file, or a part of it, cannot be read as text: nobody can say what it holds."""


@dataclass(frozen=True, slots=True)
class Piece:
    """`where` names the place of a position in `text`, for people: `line 12`, `page 3`."""

    text: str
    where: Callable[[int], str]


def piece_at(text: str, where: str) -> Piece:
    """A piece that stands in one place."""
    return Piece(text, lambda _: where)
