"""A clip's frames: which are looked at, at what time, which way up, and what ends too early."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import clips

from facecli.common.enums import Reason
from facecli.common.types import FailureToAcquire
from facecli.video import frames
from facecli.video.frames import Clock, Frame, Sampling, read


def numbered(count: int) -> list[np.ndarray]:
    """Grey frames, each brighter than the one before."""
    width, height = clips.SIZE
    return [np.full((height, width, 3), 20 + 2 * i, np.uint8) for i in range(count)]


EVERY_SO_OFTEN = Sampling()


def all_of(path: Path, sampling: Sampling = EVERY_SO_OFTEN) -> list[Frame | FailureToAcquire]:
    return list(read(path, sampling))


@pytest.mark.parametrize("rate", [5, 12.5, 25, 30, 100])
def test_one_frame_in_each_span_of_time_whatever_the_rate(tmp_path: Path, rate: float) -> None:
    shown = [clips.frame(scenery=i) for i in range(int(rate * 1.2))]
    clip = clips.write(tmp_path / "x.mp4", shown, rate)
    found = all_of(clip)
    times = [frame.seconds for frame in found if isinstance(frame, Frame)]
    assert len(times) == len(found) == 6
    assert times == pytest.approx(np.arange(6) * 0.2, abs=1 / rate + 1e-3)
    assert found[0].length == pytest.approx(1.2, abs=0.02)
    assert len(all_of(clip, Sampling(every=0))) == int(rate * 1.2)
    assert len(all_of(clip, Sampling(every=0.5))) == 3


def test_the_frame_is_that_of_its_time(tmp_path: Path) -> None:
    clip = clips.write(tmp_path / "x.mp4", numbered(50), 25)
    grey = [frame.image.mean() for frame in all_of(clip)]
    assert grey == pytest.approx([20 + 2 * i for i in range(0, 50, 5)], abs=4)


def test_a_variable_rate_is_followed_by_time() -> None:
    clock = Clock(0.2)
    slow_then_quick = [0.0, 0.5, 1.0, *np.arange(1.04, 2.0, 0.04)]
    taken = [t for t in slow_then_quick if clock.due(t)]
    assert taken[:3] == [0.0, 0.5, 1.0]
    assert all(0.15 < b - a < 0.25 for a, b in pairwise(taken[2:]))
    assert taken[-1] == pytest.approx(1.8, abs=0.05)


def test_a_clip_on_its_side_is_turned_as_it_says(tmp_path: Path) -> None:
    image = numbered(1)[0]
    image[:40] = (0, 0, 255)  # red above, which a turn clockwise brings to the right
    clip = clips.write(tmp_path / "x.mp4", [image] * 3)
    clips.on_its_side(clip)
    (first, *_) = all_of(clip)
    assert first.image.shape == (clips.SIZE[0], clips.SIZE[1], 3)
    assert first.image[:, -20:, 2].mean() > 200 > first.image[:, :20, 2].mean()


def test_a_clip_that_was_cut_off_gives_what_there_is_and_says_so(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (50, 270, 480, 3), np.uint8)
    whole = clips.write(tmp_path / "x.avi", noise, code="MJPG")
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) // 2])
    *found, failure = all_of(whole)
    assert 20 < len(found) < 30 and all(isinstance(frame, Frame) for frame in found)
    assert isinstance(failure, FailureToAcquire) and failure.reason is Reason.TRUNCATED
    assert "of 10.0 s, which was looked at" in failure.detail
    assert len(all_of(clips.write(tmp_path / "y.avi", noise[:9], code="MJPG"))) == 9


def test_a_transport_stream_that_was_cut_off_says_so(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (50, 270, 480, 3), np.uint8)
    whole = clips.write(tmp_path / "x.ts", noise, code="mpg2", rate=25)
    assert sum(isinstance(frame, Frame) for frame in all_of(whole)) == len(all_of(whole)) > 7
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) * 6 // 10 // 188 * 188 + 99])
    *found, failure = all_of(whole)
    assert 3 < len(found) < 8 and all(isinstance(frame, Frame) for frame in found)
    assert isinstance(failure, FailureToAcquire) and failure.reason is Reason.TRUNCATED
    found = frames.read(whole, Sampling())
    whole.unlink()  # before it is opened: a row, as for any other clip
    assert [type(one) for one in found] == [FailureToAcquire]


@pytest.fixture(params=["OpenCV alone", "PyAV"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the extra `video` and without."""
    if request.param == "PyAV" and not frames.has_pyav():
        pytest.skip(f"NOT CHECKED: PyAV is missing, {frames.NEEDS_PYAV}")
    monkeypatch.setattr(frames, "has_pyav", lambda: request.param == "PyAV")
    return request.param


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "the file is empty"), (b"a text that is called a clip\n" * 50, "no clip of a kind"),
     (b"\0\0\0\x1cftypisom\0\0\x02\0isomiso2avc1mp41", "")],
    ids=["empty", "text", "a head alone"],
)  # fmt: skip
def test_what_cannot_be_opened_is_one_failure(
    tmp_path: Path, decoder: str, data: bytes, said: str
) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(data)
    assert Sampling().takes(path)  # by its name: nobody else knows it
    (failure,) = all_of(path)
    assert isinstance(failure, FailureToAcquire)
    assert failure.reason in (Reason.NO_VIDEO, Reason.TRUNCATED)
    assert (said or ("OpenCV" if decoder == "OpenCV alone" else "FFmpeg")) in failure.detail


@pytest.mark.parametrize(
    "text", ["ffconcat version 1.0\nfile a.mp4\n", "#EXTM3U\n#EXTINF:1,\na.mp4\n"]
)
def test_a_list_of_files_is_not_followed(tmp_path: Path, decoder: str, text: str) -> None:
    clips.write(tmp_path / "a.mp4", numbered(3))
    (tmp_path / "x.mp4").write_text(text)
    for sampling in (Sampling(), Sampling(key_frames=decoder == "PyAV")):
        (failure,) = frames.read(tmp_path / "x.mp4", sampling)
        assert isinstance(failure, FailureToAcquire) and "no clip of a kind" in failure.detail


def test_a_photo_is_none_whatever_it_is_called(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    Image.fromarray(numbered(1)[0]).save(path, "JPEG")
    (tmp_path / "notes.txt").write_text("a text")
    assert not Sampling().takes(path) and not Sampling().takes(tmp_path / "notes.txt")
    assert not Sampling().takes(tmp_path / "gone.mp4")


def test_the_shortest_and_the_largest_clips(tmp_path: Path, decoder: str) -> None:
    one = all_of(clips.write(tmp_path / "1.mp4", numbered(1)))
    assert [frame.seconds for frame in one] == [0.0]
    large = clips.write(tmp_path / "8k.avi", [np.full((4320, 7680, 3), 90, np.uint8)], code="MJPG")
    (frame,) = all_of(large)
    assert frame.image.shape == (2160, 3840, 3)


def test_what_is_damaged_inside_is_read_on_or_is_told(tmp_path: Path, decoder: str) -> None:
    clip = clips.write(tmp_path / "x.mp4", [clips.frame(scenery=i) for i in range(40)])
    data, rng = bytearray(clip.read_bytes()), np.random.default_rng(0)
    for at in rng.integers(2000, len(data) - 5000, 300):
        data[at] ^= 0xFF
    clip.write_bytes(data)
    *found, last = all_of(clip)
    assert all(isinstance(frame, Frame) for frame in found)
    if isinstance(last, FailureToAcquire):
        assert last.reason in (Reason.NO_VIDEO, Reason.TRUNCATED)


def test_without_the_extra_its_name_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "has_pyav", lambda: False)
    clip = clips.write(tmp_path / "x.mp4", numbered(2))
    (failure,) = all_of(clip, Sampling(key_frames=True))
    assert failure.reason is Reason.NEEDS_EXTRA and "facecli[video]" in failure.detail
    still = numbered(1) * 4  # as OpenCV 5.0 shows interlaced clips
    *_, failure = all_of(clips.write(tmp_path / "y.avi", still, code="MJPG"))
    assert failure.reason is Reason.NO_VIDEO and "facecli[video]" in failure.detail
    assert len(all_of(clips.write(tmp_path / "z.avi", still + numbered(2)[1:], code="MJPG"))) == 5


def test_a_very_large_frame_is_made_smaller() -> None:
    tall = frames.fitted(np.zeros((7680, 4320, 3), np.uint8))
    assert tall.shape == (3840, 2160, 3)
    small = np.zeros((10, 20, 3), np.uint8)
    assert frames.fitted(small) is small


def test_every_frame_of_an_animated_photo_at_its_time(tmp_path: Path) -> None:
    shown = [Image.fromarray(image) for image in numbered(6)]
    path = tmp_path / "x.gif"
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=150)
    assert not Sampling().takes(path) and Sampling(animations=True).takes(path)
    found = all_of(path, Sampling(every=0.3, animations=True))
    assert [frame.seconds for frame in found] == pytest.approx([0, 0.3, 0.6])
    assert [frame.image.mean() for frame in found] == pytest.approx([20, 24, 28], abs=1)
    path.write_bytes(path.read_bytes()[:-2000])
    *_, failure = all_of(path, Sampling(every=0, animations=True))
    assert failure.reason is Reason.TRUNCATED
