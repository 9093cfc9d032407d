"""A folder for each group, with links to its photos or copies, for people who sort files."""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from facecli.common import outputs
from facecli.common.enums import GroupState, Reason
from facecli.common.errors import OutputError
from facecli.common.files import private_folder
from facecli.common.types import FailureToAcquire
from facecli.storage.records import FaceGroup
from facecli.storage.sqlite.grouping_file import GroupingFile

ALONE = "alone"  # the folder of those who are in one photo only
# What a file system or a shell takes for something else; names are otherwise as they are.
_UNSAFE = re.compile(r'[/\\:*?"<>|\x00-\x1f]')


@dataclass(frozen=True, slots=True)
class Exported:
    """written, already: photos put into folders now, and there before. failures: not readable."""

    folders: int
    written: int
    already: int
    failures: tuple[FailureToAcquire, ...]


def export(grouping: GroupingFile, folder: Path, *, copy: bool) -> Exported:
    """Write a folder a group into `folder`; a photo with several people is in several.

    copy: else links to where the photos lie. Nothing that is there is replaced. Groups that were
    set aside are left out. Raises UsageError where the photos themselves lie in `folder`,
    OutputError where it cannot be written.
    """
    groups = [g for g in grouping.groups() if g.state is not GroupState.IGNORED]
    photos = {g.id: sorted({Path(face.path) for face in grouping.faces(g.id)}) for g in groups}
    outputs.judge_folder(folder, set(chain.from_iterable(photos.values())))
    done: list[bool] = []
    failures: dict[FailureToAcquire, None] = {}
    folders = set[Path]()
    for group, name in _named(groups):
        for photo in photos[group.id]:
            if not photo.is_file():
                missing = FailureToAcquire(str(photo), Reason.NOT_FOUND, "it has been moved")
                failures[missing] = None
                continue
            folders.add(folder / name)
            try:
                private_folder(folder / name)
                done.append(_put(photo, folder / name, copy))
            except OSError as error:
                raise OutputError(f"{folder / name} cannot be written: {error.strerror}") from error
    return Exported(len(folders), sum(done), len(done) - sum(done), tuple(failures))


def _named(groups: list[FaceGroup]) -> Iterator[tuple[FaceGroup, str]]:
    """Each group with its folder's name: a subject's, or its number."""
    taken: dict[str, str] = {}
    for group in groups:
        if group.state is GroupState.NAMED and group.name:
            safe = _UNSAFE.sub("_", group.name).strip(" .") or "_"
            owner = taken.setdefault(safe.casefold(), group.name)
            yield group, safe if owner == group.name else f"{safe} ({group.id})"
        else:
            yield group, f"group {group.id}" if group.faces > 1 else ALONE


def _put(photo: Path, folder: Path, copy: bool) -> bool:
    """Whether it had to be written; a name that another photo has gets a number."""
    names = chain([photo.name], (f"{photo.stem}_{n}{photo.suffix}" for n in count(2)))
    for target in (folder / name for name in names):
        if not os.path.lexists(target):
            if copy:
                outputs.write(target, photo.read_bytes(), force=None, kept=outputs.anything)
                times = photo.stat()
                os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
            else:
                target.symlink_to(photo.absolute())
            return True
        if target.exists() and (
            target.samefile(photo) or (copy and filecmp.cmp(target, photo, shallow=False))
        ):
            return False
    raise AssertionError("names do not end")
