"""`--annotate DIR`: pictures of what was answered."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain, count, groupby
from pathlib import Path
from typing import TYPE_CHECKING

from facecli.cli.options import note
from facecli.common.errors import InputError, OutputError
from facecli.common.files import private_folder

if TYPE_CHECKING:
    from facecli.common.types import Decision
    from facecli.video.frames import Sampling


def folder_for_pictures(folder: Path) -> None:
    """Make it before the work. Raises OutputError."""
    try:
        private_folder(folder)
    except OSError as error:
        raise OutputError(f"--annotate {folder}: {error.strerror}; name another folder") from error


def drawn(
    decisions: Iterable[Decision], folder: Path, sources: list[Path | bytes], looked_at: Sampling,
    quiet: bool,
) -> Iterator[Decision]:  # fmt: skip
    """The same decisions; after a photo's last one its picture is drawn into `folder`."""
    for path, group in groupby(decisions, key=lambda d: d.probe.path):
        faces: list[Decision] = []
        for decision in group:
            faces.append(decision)
            yield decision
        if any(decision.probe.track for decision in faces):
            _clip(folder, Path(path), faces, looked_at, quiet)
        elif path == "-" or not looked_at.takes(Path(path)):
            _picture(folder, path, sources, faces, quiet)


def faces_saved(decisions: Iterable[Decision], folder: Path) -> Iterator[Decision]:
    """The same decisions; the best face of each is written into `folder`."""
    from facecli.report.annotate import save
    from facecli.report.tracks import clock_time

    for decision in decisions:
        yield decision
        track = decision.probe.track
        if track is not None:
            stem = clock_time(track, track.best).replace(":", "-")
            save(track.crop, _new(folder, stem, ".jpg"))


def _clip(
    folder: Path, path: Path, tracks: list[Decision], looked_at: Sampling, quiet: bool
) -> None:
    """Draw a clip's tracks into `folder`, and the best face of each."""
    from facecli.report.annotate import save
    from facecli.report.clips import best_faces, write_clip

    target = _new(folder, path.stem, ".mp4")
    try:
        codec = write_clip(path, tracks, target)
    except InputError as error:  # deleted meanwhile: its rows are out, and others follow
        note(str(error), quiet)
        return
    note(f"wrote {target} ({codec}; without sound)", quiet)
    for decision, image in best_faces(path, tracks, looked_at):
        number = decision.probe.index
        save(image, _new(folder, f"{path.stem}_track{number}", ".jpg"))
    note(f"wrote the best face of each of {len(tracks)} tracks to {folder}", quiet)


def _picture(
    folder: Path, path: str, sources: list[Path | bytes], faces: list[Decision], quiet: bool
) -> None:
    """Draw one photo's decisions into `folder`, under the photo's own name."""
    from facecli.common.types import FailureToAcquire
    from facecli.recognition import images
    from facecli.report.annotate import annotate, save

    from_stdin = next((s for s in sources if isinstance(s, bytes)), b"")
    data = from_stdin if path == "-" else images.read_photo(Path(path))
    image = data if isinstance(data, FailureToAcquire) else images.decode(data, path)
    if isinstance(image, FailureToAcquire):
        return  # its row has said so
    stem = "stdin" if path == "-" else Path(path).stem
    target = _new(folder, stem, ".jpg")
    save(annotate(image, faces), target)
    note(f"wrote {target}", quiet)


def _new(folder: Path, stem: str, suffix: str) -> Path:
    """A name of that kind that is not taken."""
    names = chain([f"{stem}{suffix}"], (f"{stem}_{number}{suffix}" for number in count(2)))
    return next(t for t in (folder / name for name in names) if not os.path.lexists(t))
