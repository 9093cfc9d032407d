"""`facecli identify`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecli.cli.options import (
    DetectorOption,
    DeviceOption,
    GalleryOption,
    JsonOption,
    KeyOption,
    ModelOption,
    QualityOption,
    QuietOption,
    WorkersOption,
    key,
    note,
)
from facecli.common.enums import DetectorName, Device, Outcome
from facecli.common.errors import InputError, UsageError
from facecli.common.files import private_folder

if TYPE_CHECKING:
    from facecli.common.types import Decision


def identify(
    photos: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PHOTOS", help="Photos, folders, or - for a photo on stdin."),
    ] = None,
    from_list: Annotated[
        Path | None,
        typer.Option(
            "--from-list", metavar="FILE", help="More photos, a path a line; - reads stdin."
        ),
    ] = None,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    top: Annotated[
        int, typer.Option("--top", "-k", min=1, metavar="K", help="Candidates to rank a face.")
    ] = 5,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", metavar="T", help="A cosine, this time only."),
    ] = None,
    target_fpir: Annotated[
        float | None,
        typer.Option("--target-fpir", metavar="RATE", help="Another target, this time only."),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="As brute force, where the gallery is very large; slower."),
    ] = False,
    min_quality: QualityOption = None,
    annotate: Annotated[
        Path | None,
        typer.Option("--annotate", metavar="DIR", help="Write pictures with boxes and names."),
    ] = None,
    as_json: JsonOption = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object a face.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="One CSV row a face.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 unless every face was identified.")
    ] = False,
    model: ModelOption = None,
    device: DeviceOption = Device.AUTO,
    detector: DetectorOption = DetectorName.YUNET,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
) -> None:
    """Who is in these photos? Every face gets a name, or unknown with its nearest candidate.

    --jsonl and --csv print each row as it comes. Exit code 3 when no photo could be read.
    """
    if as_json + as_jsonl + as_csv > 1:
        raise UsageError("choose one of --json, --jsonl and --csv")
    if threshold is not None and target_fpir is not None:
        raise UsageError("choose one of --threshold and --target-fpir")
    if not photos and from_list is None:
        raise UsageError("name photos or folders, or a list of them with --from-list")
    if Path("-") in (photos or ()) and from_list == Path("-"):
        raise UsageError("stdin holds either a photo (-) or a list (--from-list -)")
    named = _named(photos or [], quiet)
    listed = _listed(from_list) if from_list else iter(())
    if annotate is not None:
        _make(annotate)
    from facecli.recognition.pipeline import ahead

    # A photo by itself is decoded while the gallery's code, which takes as long, is imported.
    lone = [ahead(named[0])] if len(named) == 1 and from_list is None else None
    from facecli.gallery.gallery import Gallery
    from facecli.recognition.quality import DEFAULT_BAR

    emit = _emitter(as_json, as_jsonl, as_csv)
    outcomes: set[Outcome] = set()
    with Gallery.open(
        gallery, model=model, device=device, detector=detector, key=key(key_file)
    ) as opened:
        decisions = opened.identify(
            lone or (named if from_list is None else chain(named, listed)),
            top=top,
            threshold=threshold,
            fpir=target_fpir,
            min_quality=DEFAULT_BAR if min_quality is None else min_quality,
            workers=workers,
            exact=exact,
        )
        for path, group in groupby(decisions, key=lambda d: d.probe.path):
            faces = list(group)
            outcomes |= {d.outcome for d in faces}
            emit.photo(faces)
            if annotate is not None:
                _picture(annotate, path, named, faces, quiet)
    emit.close()
    if outcomes <= {Outcome.FAILED}:
        note("no photo could be read", quiet)
        raise typer.Exit(3)
    if check and outcomes != {Outcome.IDENTIFIED}:
        raise typer.Exit(1)


def _named(arguments: list[Path], quiet: bool) -> list[Path | bytes]:
    """Files and folders in the order given; what cannot be used is answered with a failed row."""
    from facecli.datasets.labels import photos

    sources: list[Path | bytes] = []
    for argument in arguments:
        if str(argument) == "-":
            sources.append(_stdin())
            continue
        found, problems = photos([argument])
        sources += found
        for problem in problems:
            if argument.is_dir():
                note(f"{problem.path}: {problem.detail or problem.reason}", quiet)
            else:
                sources.append(Path(problem.path))
    if arguments and not sources:
        raise InputError("there is no photo in " + ", ".join(map(str, arguments)))
    return sources


def _listed(file: Path) -> Iterator[Path]:
    """The photos that a file or stdin names, one at a time, while it is still being written."""
    try:
        lines = sys.stdin.buffer if str(file) == "-" else file.open("rb")
    except OSError as error:
        raise InputError(f"--from-list {file}: {error.strerror}") from error
    return (Path(os.fsdecode(name)) for line in lines if (name := line.rstrip(b"\r\n")))


def _stdin() -> bytes:
    from facecli.recognition.images import MAX_BYTES

    # None where the shell closed it
    data = sys.stdin.buffer.read(MAX_BYTES + 1) if sys.stdin else b""
    if not data:
        raise InputError("nothing came on stdin: pipe a photo in, as in `... - < photo.jpg`")
    if len(data) > MAX_BYTES:
        raise InputError(f"more than {MAX_BYTES >> 20} MiB came on stdin: give one photo")
    return data


class _Lines:
    """Rows for programs, printed as they come."""

    def __init__(self, as_csv: bool) -> None:
        self._as_csv = as_csv
        self._header = True

    def photo(self, faces: list[Decision]) -> None:
        from facecli.report import formats
        from facecli.report.decisions import decision_row

        rows = [decision_row(d) for d in faces]
        if self._as_csv:
            typer.echo(formats.as_csv(rows, header=self._header))
            self._header = False
        else:
            for row in rows:
                typer.echo(formats.as_json_line(row))

    def close(self) -> None:
        """Nothing is held back."""


class _Whole:
    """One document or table, printed at the end."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._faces: list[Decision] = []

    def photo(self, faces: list[Decision]) -> None:
        self._faces += faces

    def close(self) -> None:
        from facecli.report import formats
        from facecli.report.decisions import decision_row, decisions_table

        if self._as_json:
            typer.echo(formats.as_json([decision_row(d) for d in self._faces]))
        else:
            typer.echo(decisions_table(self._faces))


def _emitter(as_json: bool, as_jsonl: bool, as_csv: bool) -> _Lines | _Whole:
    return _Lines(as_csv) if as_jsonl or as_csv else _Whole(as_json)


def _make(folder: Path) -> None:
    try:
        private_folder(folder)
    except OSError as error:
        raise InputError(f"--annotate {folder}: {error.strerror}; name another folder") from error


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
    names = (f"{stem}.jpg", *(f"{stem}_{number}.jpg" for number in range(2, 10**6)))
    target = next(t for t in (folder / name for name in names) if not os.path.lexists(t))
    save(annotate(image, faces), target)
    note(f"wrote {target}", quiet)
