"""A camera's frames as they come: the newest one each time, through stalls and drops, for days.

    a thread  reads all that comes, so that nothing waits in a buffer, and keeps the newest frame
    frames()  hands that out; while the next is worked on, others come and are dropped

A source that sends nothing for a while, or ends, is opened again, after pauses that double.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator

from facecli.common.errors import UsageError
from facecli.video.frames import Clock, Frame, Lost, fitted, opened

SILENCE = 10.0
"""Seconds without a frame after which a source is taken for lost."""

FIRST_PAUSE, LAST_PAUSE = 1.0, 60.0  # seconds between two tries; each is twice the one before
LAST_WAIT = 2.0  # seconds for the frame under way, when it is stopped
STEADY = 10.0  # seconds that a source must have run for the next pause to be the first again
_ADDRESS = re.compile(r"(?:https?|rtsps?|rtmps?|udp|srt)://", re.IGNORECASE)
_SECRET = re.compile(r"(?<=://)[^/@]*@")


def source_of(text: str) -> str | int:
    """A camera's number or an address. Raises UsageError for anything else, files included."""
    if text.isascii() and text.isdigit():
        return int(text)
    if _ADDRESS.match(text):
        return text
    raise UsageError(
        f"{text!r} is no camera: give its number, as 0, or its address, as rtsp://host/path; "
        "a clip is searched by `facecli identify`"
    )


def shown(source: str | int) -> str:
    """What to call a source in rows and notes: without a user's name and password."""
    return f"camera {source}" if isinstance(source, int) else _SECRET.sub("", source)


class Live:
    """A camera or a stream that is read until `stop` is set.

    every: seconds between two frames that are handed out, at least. silence: see SILENCE. note:
    called with a line about each loss and return. first_pause: see FIRST_PAUSE.
    """

    def __init__(
        self,
        source: str | int,
        every: float,
        stop: threading.Event,
        note: Callable[[str], object],
        silence: float = SILENCE,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._source = source
        self._every = every
        self._stop = stop
        self._note = note
        self._silence = silence
        self._first_pause = first_pause
        self._began = time.monotonic()
        self._news = threading.Condition()
        self._newest: Frame | None = None
        self._lost = False

    def frames(self) -> Iterator[Frame | Lost]:
        """The newest frame each time, its time in seconds since this object was made.

        While the source is lost, that, again and again: what others work ahead must not wait.
        """
        reader = threading.Thread(target=self._read, daemon=True)
        reader.start()
        try:
            while not self._stop.is_set():
                with self._news:
                    # Short waits: a signal that sets `stop` wakes nobody.
                    if self._newest is None:
                        self._news.wait(0.2)
                    frame, self._newest = self._newest, None
                if frame is not None:
                    yield frame
                elif self._lost:
                    yield Lost()
        finally:
            # A decoder that is still at work while the program ends would crash it. One that waits
            # for a source is not waited for.
            reader.join(LAST_WAIT)

    def _read(self) -> None:
        """Open the source again and again, until `stop` is set."""
        pause, name = self._first_pause, shown(self._source)
        while not self._stop.is_set():
            started, count = time.monotonic(), self._read_once()
            self._lost = True
            if self._stop.is_set():
                return
            if time.monotonic() - started > STEADY and count:
                pause = self._first_pause
            what = "was lost" if count else "cannot be opened"
            self._note(f"{name} {what}; trying again in {pause:.0f} s")
            self._stop.wait(pause)
            pause = min(2 * pause, LAST_PAUSE)

    def _read_once(self) -> int:
        """Read until it ends or stalls; how many frames came."""
        capture, clock, count = opened(self._source, self._silence), Clock(self._every), 0
        try:
            while not self._stop.is_set() and capture.grab():
                count += 1
                if count == 1:
                    self._note(f"{shown(self._source)} is there")
                seconds = time.monotonic() - self._began
                if clock.due(seconds):
                    done, image = capture.retrieve()
                    if done and image is not None:
                        self._put(Frame(seconds, fitted(image)))
            return count
        finally:
            capture.release()

    def _put(self, frame: Frame) -> None:
        with self._news:
            self._newest, self._lost = frame, False
            self._news.notify()
