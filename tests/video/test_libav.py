"""PyAV: the same frames as OpenCV, key frames alone, and what OpenCV cannot decode."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support import clips

from facecli.common.enums import Reason
from facecli.common.types import FailureToAcquire
from facecli.video.frames import Frame, Sampling, read

av = pytest.importorskip("av", reason="NOT CHECKED: PyAV is missing, pip install 'facecli[video]'")
from facecli.video import libav  # noqa: E402 (it needs PyAV)


def encoded(path: Path, codec: str, pixels: str, count: int = 50, **options: str) -> Path:
    """Grey frames that grow brighter, 25 a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 180, pixels
        for i in range(count):
            image = np.full((180, 320, 3), 20 + 4 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path


def test_both_decoders_show_the_same_at_the_same_times(tmp_path: Path) -> None:
    clip = clips.write(tmp_path / "x.mp4", [clips.frame(scenery=i) for i in range(9)])
    clips.on_its_side(clip)
    ours, its = list(read(clip, Sampling())), list(libav.read(clip, Sampling()))
    assert [f.seconds for f in ours] == pytest.approx([f.seconds for f in its])
    for one, other in zip(ours, its, strict=True):
        assert one.image.shape == other.image.shape
        assert np.abs(one.image.astype(int) - other.image).mean() < 1


def test_key_frames_alone(tmp_path: Path) -> None:
    clip = encoded(tmp_path / "x.mp4", "libx264", "yuv420p", g="10", sc_threshold="0")
    found = list(read(clip, Sampling(every=0, key_frames=True)))
    assert [f.seconds for f in found] == pytest.approx([0, 0.4, 0.8, 1.2, 1.6])
    assert [f.image.mean() for f in found] == pytest.approx([20 + 40 * i for i in range(5)], abs=5)


@pytest.mark.parametrize(
    ("codec", "pixels", "options"),
    [("libx264", "yuv420p", {"flags": "+ildct+ilme"}), ("libx265", "yuv420p10le", {}),
     ("libsvtav1", "yuv420p10le", {}), ("libx264", "yuv444p", {})],
    ids=["interlaced", "10 bits", "AV1", "4:4:4"],
)  # fmt: skip
def test_what_cameras_and_archives_have_is_read_one_way_or_the_other(
    tmp_path: Path, codec: str, pixels: str, options: dict[str, str]
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"NOT CHECKED: this PyAV writes no {codec}")
    clip = encoded(tmp_path / "x.mkv", codec, pixels, **options)
    found = list(read(clip, Sampling()))
    assert all(isinstance(f, Frame) for f in found)
    assert [f.image.mean() for f in found] == pytest.approx([20 + 20 * i for i in range(10)], abs=5)


def test_sound_alone_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 44100, 0, Fraction(1, 44100)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (failure,) = read(path, Sampling())
    assert isinstance(failure, FailureToAcquire)
    assert (failure.reason, failure.detail) == (Reason.NO_VIDEO, "it holds sound alone")


def test_what_is_damaged_on_the_way_gives_what_came_before(tmp_path: Path) -> None:
    clip = encoded(tmp_path / "x.ts", "libx264", "yuv420p")
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) // 2])
    found = list(libav.read(clip, Sampling()))
    assert 1 <= sum(isinstance(f, Frame) for f in found) < 10
