"""Waiting that is said: after a few seconds a line tells for what, and how long at most."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

SAID_AFTER = 5.0  # s


@contextmanager
def said(what: str, at_most: float) -> Iterator[None]:
    """Say on stderr what is waited for, once it has taken SAID_AFTER. It does not end the waiting.

    what: "waiting for" and so on, for people. at_most: seconds after which the caller gives up.
    """
    timer = Timer(SAID_AFTER, say, (f"{what}, {at_most:.0f} s at most",))
    timer.daemon = True
    timer.start()  # 0.05 ms
    try:
        yield
    finally:
        timer.cancel()


def say(text: str) -> None:
    """A line for people, on stderr unless the logger `facecli.waiting` has a handler."""
    import logging  # 5 ms, and seldom needed; without handlers it prints warnings on stderr

    logging.getLogger("facecli.waiting").warning(
        "facecli: %s", "".join(c if c.isprintable() else "?" for c in text)
    )
