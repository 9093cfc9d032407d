"""Who was identified, written into the sidecars beside the photos; see `datasets.sidecars`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path

from facecli.common.errors import OutputError, UsageError
from facecli.common.types import Decision, FailureToAcquire
from facecli.datasets.sidecars import Shown, SidecarWriter, Written
from facecli.recognition import images

Told = Callable[[Path, Written | OutputError | UsageError], object]


def write_tags(
    decisions: Iterable[Decision],
    writer: SidecarWriter,
    told: Told,
    *,
    dry_run: bool = False,
) -> Iterator[Decision]:
    """The same decisions; after a photo's last one its sidecar is written.

    Only identified faces are: a photo without any gets no sidecar. told: called with each photo
    and what became of its sidecar; one that cannot be written stops no other.
    """
    for path, group in groupby(decisions, key=lambda decision: decision.probe.path):
        faces = list(group)
        yield from faces
        if path != "-" and any(decision.subject for decision in faces):
            data = images.read_photo(Path(path))
            if isinstance(data, FailureToAcquire):  # gone since then
                told(Path(path), OutputError(f"{path}: {data.reason}"))
                continue
            try:
                told(Path(path), writer.write(_shown(Path(path), data, faces), dry_run=dry_run))
            except (OutputError, UsageError) as error:
                told(Path(path), error)


def _shown(path: Path, data: bytes, decisions: list[Decision]) -> Shown:
    frame = images.frame(data, str(path))
    if 0 in frame.size:
        raise OutputError(f"{path}: how large it is cannot be told: no sidecar is written")
    found = [d for d in decisions if d.probe.face is not None]
    return Shown(
        path, data, frame.size, frame.orientation,
        tuple(d.probe.face.box for d in found if d.probe.face is not None),
        tuple((i, d.subject) for i, d in enumerate(found) if d.subject is not None),
    )  # fmt: skip
