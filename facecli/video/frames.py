"""A clip's frames, one every so often by its own clock.

OpenCV's VideoCapture reads them, which every installation has: it turns them upright by the clip's
rotation, and tells their time, so that variable frame rates are no matter. What it cannot decode
(AV1, interlaced pictures in OpenCV 5.0) is read through PyAV where the extra `video` is installed.

Not handled: colours of HDR are shown as they are stored, without tone mapping (embedders do not
mind); a clip that lies on its side without saying so is not turned, as photos are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np

from facecli.common.enums import Reason
from facecli.common.file_kinds import (
    CLIP_SUFFIXES,
    TRANSPORT_PACKETS,
    TRANSPORT_STREAM,
    UNKNOWN,
    Family,
    is_animation,
    kind_of,
)
from facecli.common.types import FailureToAcquire, Image
from facecli.recognition import images

# FFmpeg, inside OpenCV, would tell users on stderr of every damaged packet.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

EVERY = 0.2
"""Seconds between two frames that are looked at: a walking person's faces still overlap."""

FRAME_SIDE = 3840  # px: the long side that frames keep at most: of 8k a quarter of the pixels
EARLY = 0.9  # of a clip's frames and seconds: one that ends before was cut
NEEDS_PYAV = "pip install 'facecli[video]'"


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which frames are looked at.

    every: seconds between two, from 0 (all of them). key_frames: only those that stand alone in the
    stream, which takes a tenth of the time (needs PyAV). animations: whether an animated GIF, WebP,
    PNG or AVIF is a clip, too, and not a photo.
    """

    every: float = EVERY
    key_frames: bool = False
    animations: bool = False

    def takes(self, path: Path) -> bool:
        """Whether a file is a clip, by its content; of what nobody knows its name tells.

        Then `read` says what is wrong with it, as it should of a clip.
        """
        kind = kind_of(path)
        if kind is None:
            return False
        return (
            kind.family is Family.VIDEO
            or (self.animations and is_animation(path))
            or (kind == UNKNOWN and path.suffix.lower() in CLIP_SUFFIXES)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """seconds: since the clip's first frame. image: upright (H, W, 3) uint8 BGR. length: of the
    whole clip by its header, seconds; NaN where it does not tell.
    """

    seconds: float
    image: Image
    length: float = float("nan")


@dataclass(frozen=True, slots=True)
class Lost:
    """A live source sends nothing for now, and whoever was on screen is seen no more."""


class Clock:
    """Which frames are due: the first in each span of `every` seconds."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._next = 0.0

    def due(self, seconds: float) -> bool:
        """Whether to take a frame of this time; each time is asked about once, in order."""
        if seconds < self._next - 1e-3:  # times are rounded to a clip's own unit
            return False
        if self._every > 0:
            self._next = (int((seconds + 1e-3) / self._every) + 1) * self._every
        return True


def read(path: Path, sampling: Sampling) -> Iterator[Frame | FailureToAcquire]:
    """The frames that `sampling` asks for, in order; last of all why it is not all of them.

    A clip that ends early, or cannot be read on, gives what there is, and then a failure.
    """
    if sampling.animations and is_animation(path):
        return _animation(path, sampling)
    kind = kind_of(path)
    if kind is not None and kind.family is not Family.VIDEO:
        # Never the decoder's to judge: a list of files is a clip to it, and it opens those.
        return iter((_no_clip(path),))
    through_pyav = sampling.key_frames or (has_pyav() and _is_interlaced(path))
    found = _through_pyav(path, sampling) if through_pyav else _through_opencv(path, sampling)
    return _to_its_last_packet(found, path) if kind == TRANSPORT_STREAM else found


def _to_its_last_packet(
    found: Iterator[Frame | FailureToAcquire], path: Path
) -> Iterator[Frame | FailureToAcquire]:
    """A transport stream has no length of its own: cut off, it ends inside a packet."""
    seconds: float | None = None
    for one in found:
        seconds = one.seconds if isinstance(one, Frame) else None
        yield one
    with suppress(OSError):  # deleted meanwhile, it was read to its end all the same
        size = path.stat().st_size
        if seconds is not None and all(size % packet for packet in TRANSPORT_PACKETS):
            yield cut_off(path, seconds, float("nan"))


def fitted(image: Image) -> Image:
    """The frame with no more pixels than serve."""
    longest = max(image.shape[:2])
    if longest <= FRAME_SIDE:
        return image
    k = FRAME_SIDE / longest
    return cast(Image, cv2.resize(image, None, fx=k, fy=k, interpolation=cv2.INTER_AREA))


def has_pyav() -> bool:
    """Whether the extra `video` is installed."""
    return find_spec("av") is not None


def _is_interlaced(path: Path) -> bool:
    from facecli.video import libav  # optional

    return libav.is_interlaced(path)


def _through_pyav(path: Path, sampling: Sampling) -> Iterator[Frame | FailureToAcquire]:
    if not has_pyav():
        detail = f"reading key frames alone needs the extra: {NEEDS_PYAV}"
        yield FailureToAcquire(str(path), Reason.NEEDS_EXTRA, detail)
        return
    from facecli.video import libav  # optional

    yield from libav.read(path, sampling)


def _through_opencv(path: Path, sampling: Sampling) -> Iterator[Frame | FailureToAcquire]:
    capture = opened(os.path.abspath(path))  # noqa: PTH100 (never a protocol's or a pattern's name)
    try:
        info = _Header.of(capture)
        if info is None:
            yield from _not_opened(path, sampling)
            return
        if info.pixels > images.MAX_PIXELS:
            detail = f"frames of more than {images.MAX_PIXELS:,} pixels; shrink the clip first"
            yield FailureToAcquire(str(path), Reason.TOO_LARGE, detail)
            return
        clock, seconds, count, shown = Clock(sampling.every), 0.0, 0, 0
        still: Image | None = None  # the first frame, as long as all others are the same picture
        while capture.grab():
            seconds = info.time(capture, count, seconds)
            count += 1
            if not clock.due(seconds):
                continue
            done, image = capture.retrieve()
            if not done or image is None:
                continue
            if shown == 0:
                still = image
            elif still is not None and not np.array_equal(image, still):
                still = None
            shown += 1
            yield Frame(seconds, fitted(image), info.length)
    finally:
        capture.release()
    if not shown:
        yield from _not_opened(path, sampling)
    elif info.ends_early(count, seconds):
        yield cut_off(path, seconds, info.length)
    elif count > 1 and still is not None and not has_pyav():
        yield FailureToAcquire(str(path), Reason.NO_VIDEO, _STILL)


_STILL = (
    "every frame is the same picture: if it should move, it is interlaced, which this OpenCV "
    f"cannot show; {NEEDS_PYAV} reads it"
)


def rate(path: Path) -> float:
    """A clip's frames a second by its header; 25 where it does not tell."""
    capture = opened(os.path.abspath(path))  # noqa: PTH100
    try:
        found = float(capture.get(cv2.CAP_PROP_FPS))
    finally:
        capture.release()
    return found if 0 < found <= 240 else 25.0


def opened(source: str | int, timeout: float | None = None) -> Any:
    """A cv2.VideoCapture of a file, an address or a camera's number.

    timeout: seconds that an address may take to answer, and to send a frame.
    """
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    if isinstance(source, int):
        return cv2.VideoCapture(source)
    options = []
    if timeout is not None:
        wait = round(1000 * timeout)
        options = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, wait, cv2.CAP_PROP_READ_TIMEOUT_MSEC, wait]
    return cv2.VideoCapture(source, cv2.CAP_FFMPEG, options)


def cut_off(path: Path, seconds: float, length: float) -> FailureToAcquire:
    """What is said of a clip that ends early: what there is was looked at."""
    whole = f" of {length:.1f} s" if length > seconds else ""
    detail = f"it can be read up to {seconds:.1f} s{whole}, which was looked at"
    return FailureToAcquire(str(path), Reason.TRUNCATED, detail)


@dataclass(frozen=True, slots=True)
class _Header:
    """What a clip says of itself; 0 where it does not."""

    rate: float
    frames: float
    pixels: float

    @classmethod
    def of(cls, capture: Any) -> _Header | None:
        """None where it could not be opened."""
        if not capture.isOpened():
            return None
        get = capture.get
        pixels = get(cv2.CAP_PROP_FRAME_WIDTH) * get(cv2.CAP_PROP_FRAME_HEIGHT)
        return cls(get(cv2.CAP_PROP_FPS), get(cv2.CAP_PROP_FRAME_COUNT), pixels)

    @property
    def length(self) -> float:
        known = self.rate > 0 and self.frames > 0
        return self.frames / self.rate if known else float("nan")

    def time(self, capture: Any, count: int, before: float) -> float:
        """Of the frame just grabbed, the one after `count` others, the last of them at `before`."""
        seconds = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        if count == 0 or seconds > before:
            return max(0.0, seconds)
        return before + (1 / self.rate if self.rate > 0 else 0.04)  # a stream without times

    def ends_early(self, count: int, seconds: float) -> bool:
        """Both must say so: of variable rates the header's are guesses."""
        few = count < EARLY * self.frames - 2
        return few and seconds < EARLY * self.length


def _not_opened(path: Path, sampling: Sampling) -> Iterator[Frame | FailureToAcquire]:
    if has_pyav():
        yield from _through_pyav(path, sampling)
    else:
        detail = (
            "OpenCV cannot read it: it is damaged, has no picture, or is of a kind that needs the "
            f"extra: {NEEDS_PYAV}"
        )
        yield FailureToAcquire(str(path), Reason.NO_VIDEO, detail)


def _no_clip(path: Path) -> FailureToAcquire:
    empty = path.stat().st_size == 0
    detail = "the file is empty" if empty else "its content is no clip of a kind that is known"
    return FailureToAcquire(str(path), Reason.NO_VIDEO, detail)


def _animation(path: Path, sampling: Sampling) -> Iterator[Frame | FailureToAcquire]:
    """A photo's frames."""
    data = images.read_photo(path)
    if isinstance(data, FailureToAcquire):
        yield data
        return
    clock = Clock(sampling.every)
    for found in images.animation(data, str(path)):
        if isinstance(found, FailureToAcquire):
            yield found
        elif clock.due(found[0]):
            yield Frame(found[0], fitted(found[1]))
