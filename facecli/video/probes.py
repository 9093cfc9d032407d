"""Photos and clips alike as what is searched for: of a clip the person who is seen longest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from facecli.common.types import FaceTemplate, FailureToAcquire, Photo
from facecli.recognition import images
from facecli.recognition.pipeline import Extractor
from facecli.video import frames
from facecli.video.frames import Sampling
from facecli.video.templates import Tracking, tracks


def photos_and_clips(
    extractor: Extractor, paths: Iterable[Path], workers: int | None = None
) -> Iterator[Photo | FailureToAcquire]:
    """One result each, in order. Of a clip the `faces` are its tracks, the longest first."""
    for moving, group in groupby(paths, Sampling().takes):
        if moving:
            yield from (_clip(extractor, path, workers) for path in group)
        else:
            yield from extractor.photos(group, workers)


def _clip(extractor: Extractor, path: Path, workers: int | None) -> Photo | FailureToAcquire:
    digest = images.sha256_of(path)
    if isinstance(digest, FailureToAcquire):
        return digest
    found = list(tracks(extractor, frames.read(path, Sampling()), Tracking(workers=workers)))
    people = [one for one in found if isinstance(one, FaceTemplate)]
    failures = [one for one in found if isinstance(one, FailureToAcquire)]
    if failures and not people:
        return failures[0]
    people.sort(key=lambda one: -one.track.frames if one.track else 0)
    return Photo(str(path), digest, tuple(people))
