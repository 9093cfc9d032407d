"""Values as they are read: a file that was damaged, or made to harm, may hold anything anywhere.

SQLite keeps text in a column of numbers, and bytes in one of text. What is of its kind costs 0.1
us to look at; what is not ends the reading.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from facecli.common.types import Float32

LARGEST = 2**63 - 1
TOKEN = 16  # bytes of a revision's
UNIT = 1e-3  # a template's norm may be so far from 1
FREE = 1 << 22  # bytes that are not counted


class Unsound(Exception):
    """A stored value is not of its kind. `connection.explained` names the file."""


def text(value: object, what: str) -> str:
    """Raises Unsound for anything but text."""
    if type(value) is not str:
        raise _unsound(value, what)
    return value


def optional_text(value: object, what: str) -> str | None:
    """Text, or None."""
    return None if value is None else text(value, what)


def data(value: object, what: str, size: int | None = None) -> bytes:
    """Bytes, so many where `size` says. Raises Unsound."""
    if type(value) is not bytes or (size is not None and len(value) != size):
        raise _unsound(value, what)
    return value


def whole(value: object, what: str, least: int = 0, most: int = LARGEST) -> int:
    """An integer from least to most. Raises Unsound."""
    if type(value) is not int or not least <= value <= most:
        raise _unsound(value, what)
    return value


def real(value: object, what: str, least: float = -math.inf, most: float = math.inf) -> float:
    """A finite number from least to most. Raises Unsound."""
    if not isinstance(value, int | float) or not math.isfinite(value) or not least <= value <= most:
        raise _unsound(value, what)
    return float(value)


def unit_vector(value: object, dimension: int) -> Float32:
    """The (dimension,) float32 unit vector that a column holds. Raises Unsound."""
    found = np.frombuffer(data(value, "a template", dimension * 4), np.float32)
    with np.errstate(all="ignore"):  # noise makes it warn of what is refused here
        norm = float(np.linalg.norm(found.astype(np.float64)))
    if not abs(norm - 1) < UNIT:  # or it is NaN
        raise Unsound("a template is not a unit vector")
    return found


def bounded(rows: Iterable[tuple[Any, ...]], most: Callable[[], int]) -> Iterator[tuple[Any, ...]]:
    """The rows, unless what they hold is more than `most` bytes and FREE. Raises Unsound.

    most: of the file. Its values may all be read from the same pages, again and again.
    """
    held = 0
    for row in rows:
        for value in row:
            if type(value) is str or type(value) is bytes:
                held += len(value)
        if held > FREE and held > most():
            raise Unsound("its rows hold more than the file does")
        yield row


def _unsound(value: object, what: str) -> Unsound:
    shown = f"{value[:20]!r}" if isinstance(value, str | bytes) else f"{value!r}"
    return Unsound(f"{what} is {shown}")
