"""What a row tells of moving pictures: which appearance it is of, from when to when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facecli.common.types import Track

TRACK_FIELDS = (
    "track", "start", "end", "start_time", "end_time", "frames", "best_at", "faces_used",
)  # fmt: skip


def track_row(track: Track | None) -> dict[str, Any]:
    """Its fields of `--json`, all of them null for a photo's face. Times are in seconds."""
    if track is None:
        return dict.fromkeys(TRACK_FIELDS)
    values = (
        track.number, round(track.start, 3), round(track.end, 3), clock_time(track, track.start),
        clock_time(track, track.end), track.frames, round(track.best, 3), track.embedded,
    )  # fmt: skip
    return dict(zip(TRACK_FIELDS, values, strict=True))


def clock_time(track: Track, seconds: float) -> str:
    """`HH:MM:SS.mmm` since a clip's first frame; of a live source the date and time, in UTC."""
    if track.since:
        at = datetime.fromisoformat(track.since) + timedelta(seconds=seconds)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return into_clip(seconds)


def into_clip(seconds: float) -> str:
    """`HH:MM:SS.mmm` since a clip's first frame."""
    milliseconds = round(1000 * seconds)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


def span(track: Track) -> str:
    """From when to when it is on screen, for people."""
    first, last = clock_time(track, track.start), clock_time(track, track.end)
    return f"{first}-{last}"
