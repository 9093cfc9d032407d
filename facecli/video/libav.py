"""Clips through PyAV, the extra `video`: key frames alone, and what OpenCV cannot decode."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np

from facecli.common.enums import Reason
from facecli.common.types import FailureToAcquire, Image
from facecli.recognition import images
from facecli.video.frames import Clock, Frame, Sampling, cut_off, fitted


def is_interlaced(path: Path) -> bool:
    """Whether a clip's first frame is of two fields, which OpenCV 5.0 cannot show."""
    try:
        with av.open(f"file:{path}") as container:
            return bool(next(container.decode(video=0)).interlaced_frame)
    except (av.FFmpegError, IndexError, StopIteration, ValueError):
        return False  # `read` says what is wrong with it


def read(path: Path, sampling: Sampling) -> Iterator[Frame | FailureToAcquire]:
    """See `frames.read`."""
    seconds, length, first = 0.0, float("nan"), None
    try:
        with av.open(f"file:{path}") as container:
            if not container.streams.video:
                yield FailureToAcquire(str(path), Reason.NO_VIDEO, "it holds sound alone")
                return
            stream = container.streams.video[0]
            if stream.codec_context.width * stream.codec_context.height > images.MAX_PIXELS:
                detail = f"frames of more than {images.MAX_PIXELS:,} pixels; shrink the clip first"
                yield FailureToAcquire(str(path), Reason.TOO_LARGE, detail)
                return
            stream.thread_type = "AUTO"
            if sampling.key_frames:
                stream.codec_context.skip_frame = "NONKEY"
            length = float(container.duration or 0) / 1e6 or float("nan")
            clock = Clock(sampling.every)
            for frame in container.decode(stream):
                if frame.time is not None:
                    first = frame.time if first is None else first
                    seconds = max(seconds, frame.time - first)
                if clock.due(seconds):
                    yield Frame(seconds, fitted(_upright(frame)), length)
            if first is None:
                yield FailureToAcquire(str(path), Reason.NO_VIDEO, "no frame of it can be decoded")
    except (av.FFmpegError, ValueError, MemoryError) as error:
        if first is not None:
            yield cut_off(path, seconds, length)
        else:
            yield FailureToAcquire(str(path), Reason.TRUNCATED, f"FFmpeg: {_said(error)}")


def _upright(frame: Any) -> Image:
    """(H, W, 3) uint8 BGR, turned as the clip says. rotation: degrees counter-clockwise."""
    image = frame.to_ndarray(format="bgr24")
    return cast(Image, np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4)))


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


class H264:
    """A clip that is written, H.264 in MP4; see `report.clips`."""

    codec = "H.264"

    def __init__(self, path: Path, size: tuple[int, int], rate: float) -> None:
        """size: (width, height), even px. rate: frames a second."""
        self._size = size
        self._container = av.open(f"file:{path}", "w", format="mp4")
        rate_ = Fraction(rate).limit_denominator(60_000)
        self._stream = self._container.add_stream("libx264", rate=rate_, options={"crf": "20"})
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"

    def add(self, image: Image) -> None:
        """image: (H, W, 3) uint8 BGR, at least as large."""
        width, height = self._size
        frame = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(image[:height, :width]), format="bgr24"
        )
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()
