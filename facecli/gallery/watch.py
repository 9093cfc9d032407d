"""A live source to decisions: a row a track, as it ends or has gone on for long."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from facecli.common.timestamp import now
from facecli.common.types import Decision, FailureToAcquire, Photo
from facecli.gallery.identify import Search
from facecli.gallery.loaded_models import LoadedModels
from facecli.storage.interface import Storage
from facecli.video.frames import EVERY
from facecli.video.live import SILENCE, Live, shown
from facecli.video.templates import Tracking, tracks

LONGEST = 60.0
"""Seconds after which somebody who stays is answered, and then again."""


@dataclass(frozen=True, slots=True)
class Watching:
    """How a live source is watched. every, longest: seconds, see `Live` and LONGEST. silence: after
    so many without a frame the source is taken for lost. workers: threads.
    """

    every: float = EVERY
    longest: float = LONGEST
    silence: float = SILENCE
    workers: int | None = None


def watch(
    storage: Storage,
    models: LoadedModels,
    source: str | int,
    search: Callable[[], Search],
    how: Watching,
    stop: threading.Event,
    note: Callable[[str], object],
) -> Iterator[Decision]:
    """See `Gallery.watch`. search: reads the gallery, anew for each track: who was enrolled or
    removed meanwhile counts.
    """
    extractor, bar = models.extractor, search().min_quality  # a gallery in trouble shows at once
    tracking = Tracking(bar=bar, longest=how.longest, since=now(), workers=how.workers)
    live = Live(source, how.every, stop, note, how.silence)
    for found in tracks(extractor, live.frames(), tracking):
        assert not isinstance(found, FailureToAcquire)  # a live source fails by notes
        decisions = list(search().decisions(Photo(shown(source), "", (found,))))
        named = {d.subject for d in decisions if d.subject is not None}
        crop = found.track.crop.tobytes() if found.track else b""
        storage.log_search(hashlib.sha256(crop).hexdigest(), named)
        yield from decisions
