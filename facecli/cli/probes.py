"""Which photos and clips a command looks at: arguments, folders, a list, stdin."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facecli.cli.options import note
from facecli.common.errors import InputError, UsageError

if TYPE_CHECKING:
    from facecli.recognition.pipeline import Source
    from facecli.video.frames import Sampling


def named(arguments: list[Path], from_list: Path | None, quiet: bool) -> list[Path | bytes]:
    """Files and folders in the order given; what cannot be used is answered with a failed row."""
    from facecli.datasets.labels import photos
    from facecli.datasets.photo_files import left_out_lines

    if not arguments and from_list is None:
        raise UsageError("name photos or folders, or a list of them with --from-list")
    if Path("-") in arguments and from_list == Path("-"):
        raise UsageError("stdin holds either a photo (-) or a list (--from-list -)")
    sources: list[Path | bytes] = []
    for argument in arguments:
        if str(argument) == "-":
            sources.append(_stdin())
            continue
        found = photos([argument], moving=True)
        sources += found.paths
        for line in left_out_lines(found.left_out):
            note(f"{argument}: {line}", quiet)
        for problem in found.problems:
            if argument.is_dir():
                note(f"{problem.path}: {problem.detail or problem.reason}", quiet)
            else:
                sources.append(Path(problem.path))
    if arguments and not sources:
        raise InputError("there is no photo in " + ", ".join(map(str, arguments)))
    return sources


def _stdin() -> bytes:
    from facecli.recognition.images import MAX_BYTES

    # None where the shell closed it
    data = sys.stdin.buffer.read(MAX_BYTES + 1) if sys.stdin else b""
    if not data:
        raise InputError("nothing came on stdin: pipe a photo in, as in `... - < photo.jpg`")
    if len(data) > MAX_BYTES:
        raise InputError(f"more than {MAX_BYTES >> 20} MiB came on stdin: give one photo")
    return data


def listed(file: Path) -> Iterator[Path]:
    """The photos that a file or stdin names, one at a time, while it is still being written."""
    from facecli.datasets.path_lists import listed

    try:
        stream = sys.stdin.buffer if str(file) == "-" else file.open("rb")
    except OSError as error:
        raise InputError(f"--from-list {file}: {error.strerror}") from error
    return listed(stream)


def begun(sources: Sequence[Path | bytes], looked_at: Sampling) -> Sequence[Source]:
    """A photo by itself is decoded while the gallery's code, which takes as long, is imported."""
    from facecli.recognition.pipeline import open_ahead

    if len(sources) != 1 or (isinstance(sources[0], Path) and looked_at.takes(sources[0])):
        return sources
    return [open_ahead(sources[0])]
