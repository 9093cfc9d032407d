"""Decisions -> the clip with boxes and names drawn on every frame, and each track's best face.

H.264 where the machine writes it (PyAV does, the extra `video`), else MPEG-4; both as MP4, at the
clip's own rate, without its sound. Between two frames that were looked at a box moves evenly, but
where it jumps, as at a cut, it stays until half the way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from facecli.common import outputs
from facecli.common.errors import InputError, OutputError
from facecli.common.types import Decision, FailureToAcquire, Image, Track
from facecli.report.annotate import annotate
from facecli.video import frames
from facecli.video.frames import Frame, Sampling

Box = tuple[float, float, float, float]

BESIDE = 0.5  # of a face's longer side: what is shown around it
LINGER = 0.1  # seconds that a box stays before the first and after the last time it was seen


def write_clip(source: Path, decisions: Sequence[Decision], target: Path) -> str:
    """Draw a clip's tracks into a new one; what it was written with, for people.

    decisions: with tracks that keep their boxes. Raises as `outputs.judge`, OutputError
    where no writer can be had, InputError where the clip can be read no more.
    """
    tracks = [(d, d.probe.track) for d in decisions if d.probe.track]
    with outputs.draft(target, force=None) as drafted:
        # in the draft's own folder, which is its owner's: OpenCV goes by the suffix
        at = drafted.with_suffix(".mp4")
        writer: _Writer | None = None
        try:
            for image in _at_rate(source, frames.rate(source), tracks):
                writer = writer or _writer(at, image, frames.rate(source))
                writer.add(image)
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise InputError(f"{source} can be read no more, and is not annotated")
        at.chmod(0o600)
        at.replace(drafted)
    return writer.codec


def best_faces(
    source: Path, decisions: Sequence[Decision], sampling: Sampling
) -> Iterator[tuple[Decision, Image]]:
    """Each track's best face with what is around it, in the order of time."""
    left = sorted(
        ((d.probe.track.best, i, d) for i, d in enumerate(decisions) if d.probe.track),
        key=lambda item: item[:2],
    )
    for frame in frames.read(source, sampling):
        while left and isinstance(frame, Frame) and frame.seconds >= left[0][0] - 1e-3:
            _, _, decision = left.pop(0)
            if decision.probe.face is not None:
                yield decision, _around(frame.image, decision.probe.face.box)
        if not left:
            return


def box_at(track: Track, seconds: float) -> Box | None:
    """Where a track is at a moment; None where it is not seen."""
    if not track.boxes or not track.start - LINGER <= seconds <= track.end + LINGER:
        return None
    times = [time for time, _ in track.boxes]
    after = bisect_right(times, seconds)
    if after in (0, len(times)):
        return track.boxes[min(after, len(times) - 1)][1]
    (t0, one), (t1, other) = track.boxes[after - 1 : after + 1]
    share = (seconds - t0) / max(t1 - t0, 1e-9)
    if one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]:
        return one if share < 0.5 else other
    x1, y1, x2, y2 = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return x1, y1, x2, y2


def _at_rate(
    source: Path, rate: float, tracks: Sequence[tuple[Decision, Track]]
) -> Iterator[Image]:
    """Every drawn frame, so often that its time is kept: of a variable rate some come twice."""
    shown, due = None, 0
    for frame in frames.read(source, Sampling(every=0)):
        if isinstance(frame, FailureToAcquire):
            break  # a row has said so
        while shown is not None and due / rate < frame.seconds - 0.5 / rate:
            yield shown
            due += 1
        shown = _drawn(frame, tracks)
    if shown is not None:
        yield shown


def _drawn(frame: Frame, tracks: Sequence[tuple[Decision, Track]]) -> Image:
    here = []
    for decision, track in tracks:
        box, face = box_at(track, frame.seconds), decision.probe.face
        if box is not None and face is not None:
            probe = replace(decision.probe, face=replace(face, box=box))
            here.append(replace(decision, probe=probe))
    return annotate(frame.image, here)


def _around(image: Image, box: Box) -> Image:
    x1, y1, x2, y2 = box
    reach = BESIDE * max(x2 - x1, y2 - y1)
    height, width = image.shape[:2]
    left, right = (int(np.clip(v, 0, width)) for v in (x1 - reach, x2 + reach))
    top, bottom = (int(np.clip(v, 0, height)) for v in (y1 - reach, y2 + reach))
    return image[top:bottom, left:right]


class _Writer(Protocol):
    codec: str

    def add(self, image: Image) -> None: ...
    def close(self) -> None: ...


def _writer(path: Path, first: Image, rate: float) -> _Writer:
    size = (first.shape[1] // 2 * 2, first.shape[0] // 2 * 2)  # colours are stored for 2 x 2 px
    if frames.has_pyav():
        from facecli.video import libav  # optional

        return libav.H264(path, size, rate)
    return _OpenCvWriter(path, size, rate)


class _OpenCvWriter:
    """MPEG-4, which every OpenCV writes."""

    codec = "MPEG-4; H.264 needs pip install 'facecli[video]'"

    def __init__(self, path: Path, size: tuple[int, int], rate: float) -> None:
        self._size = size
        code = cv2.VideoWriter.fourcc(*"mp4v")
        self._writer: Any = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, rate, size)
        if not self._writer.isOpened():
            raise OutputError("this OpenCV writes no clips: pip install 'facecli[video]'")

    def add(self, image: Image) -> None:
        width, height = self._size
        self._writer.write(np.ascontiguousarray(image[:height, :width]))

    def close(self) -> None:
        self._writer.release()
