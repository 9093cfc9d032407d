"""Live sources: the newest frame, losses and returns told, secrets not, an end that is clean."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from support.cameras import Camera, running

from facecli.common.errors import UsageError
from facecli.common.types import Image
from facecli.video.frames import Lost
from facecli.video.live import Live, shown, source_of


def grey(level: int, count: int) -> list[Image]:
    """Frames of one grey, with a little noise: of a still picture nothing is sent."""
    rng = np.random.default_rng(level)
    return [np.clip(rng.normal(level, 3, (120, 160, 3)), 0, 255).astype(np.uint8)
            for _ in range(count)]  # fmt: skip


def watched(camera: Camera, levels: int, **options) -> tuple[list[int], list[str]]:
    """The greys that came, each once in a row, until so many did; and what was noted."""
    stop, notes, seen = threading.Event(), list[str](), list[int]()
    live = Live(camera.address, 0.0, stop, notes.append, first_pause=0.1, **options)
    times = []
    for frame in live.frames():
        if isinstance(frame, Lost):
            continue
        level = round(float(frame.image.mean()), -1)
        times.append(frame.seconds)
        if not seen or seen[-1] != level:
            seen.append(int(level))
        if len(seen) == levels:
            stop.set()
    assert times == sorted(times)
    return seen, notes


@pytest.mark.parametrize(
    "stalls",
    [pytest.param(False, id="drops"), pytest.param(True, id="stalls", marks=pytest.mark.slow)],
)
def test_a_source_that_is_lost_is_opened_again(stalls: bool) -> None:
    camera = Camera([grey(50, 6), grey(110, 6), grey(200, 400)], stalls)
    with running(camera):
        seen, notes = watched(camera, 3, silence=1.0)
    assert seen == [50, 110, 200]
    lost = [line for line in notes if "was lost; trying again in" in line]
    assert len(lost) == 2 and len([line for line in notes if line.endswith(" is there")]) == 3


def test_a_source_that_is_not_there_yet_is_waited_for() -> None:
    with running(Camera([[], grey(90, 400)])) as camera:
        seen, notes = watched(camera, 1, silence=1.0)
    assert seen == [90] and "trying again" in notes[0]


def test_whoever_is_slow_gets_the_newest_frame() -> None:
    """Nothing waits in a buffer: the greys in between were never handed out."""
    stop = threading.Event()
    camera = Camera(
        [[image for level in range(40, 240, 2) for image in grey(level, 1)]], every=0.02
    )
    with running(camera):
        frames = Live(camera.address, 0.0, stop, lambda _: None).frames()
        first = float(next(frames).image.mean())
        before = camera.sent
        while camera.sent < before + 40:
            threading.Event().wait(0.05)
        second = float(next(frames).image.mean())
        third = float(next(frames).image.mean())
        stop.set()
        assert list(frames) == []
    assert max(second, third) - first > 50


def test_what_can_be_watched() -> None:
    assert source_of("0") == 0 and source_of("RTSP://cam/1") == "RTSP://cam/1"
    for no in ("x.mp4", "file:///etc/passwd", "concat:a|b", "-1", "", "²", "ftp://x/y"):
        with pytest.raises(UsageError, match="is no camera"):
            source_of(no)


def test_passwords_are_not_shown() -> None:
    assert shown("rtsp://me:secret@cam:554/1?a=b") == "rtsp://cam:554/1?a=b"
    assert shown("http://cam/1@2") == "http://cam/1@2" and shown(2) == "camera 2"


def test_that_it_is_lost_is_told_until_it_is_back() -> None:
    stop, came = threading.Event(), list[str]()
    with running(Camera([grey(50, 6), [], grey(200, 400)])) as camera:
        live = Live(camera.address, 0.0, stop, lambda _: None, 1.0, first_pause=0.5)
        for frame in live.frames():
            came.append("lost" if isinstance(frame, Lost) else "frame")
            if came[-1] == "frame" and "lost" in came:
                stop.set()
    assert came[0] == "frame" and came.count("lost") >= 3
    first = came.index("lost")
    assert set(came[first:-1]) == {"lost"}  # again and again, and nothing between
