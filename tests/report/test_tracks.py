"""What rows tell of a track."""

from __future__ import annotations

import numpy as np
import pytest

from facecli.common.types import Track
from facecli.report.tracks import TRACK_FIELDS, clock_time, span, track_row


def track(start: float, end: float, since: str = "") -> Track:
    return Track(3, start, end, 8, start, 2, np.zeros((112, 112, 3), np.uint8), (), since)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "00:00:00.000"), (59.9996, "00:01:00.000"), (3599.5, "00:59:59.500"),
     (360000.04, "100:00:00.040")],
)  # fmt: skip
def test_times_of_a_clip(seconds: float, shown: str) -> None:
    assert clock_time(track(0, 1), seconds) == shown


def test_times_of_a_live_source_are_those_of_the_day() -> None:
    live = track(3600.25, 3601, since="2026-02-28T23:30:00Z")
    assert span(live) == "2026-03-01T00:30:00.250Z-2026-03-01T00:30:01.000Z"


def test_a_photo_s_row_has_the_same_fields_and_says_nothing_in_them() -> None:
    assert tuple(track_row(track(1.23456, 2))) == TRACK_FIELDS == tuple(track_row(None))
    assert set(track_row(None).values()) == {None}
    assert track_row(track(1.23456, 2))["start"] == 1.235
