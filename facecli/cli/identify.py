"""`facecli identify`."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecli.cli.options import (
    DeviceOption,
    GalleryOption,
    JsonOption,
    ModelOption,
    QuietOption,
    WorkersOption,
    note,
)
from facecli.errors import InputError, UsageError
from facecli.terms import Device, Outcome

if TYPE_CHECKING:
    from facecli.types import Decision


def identify(
    photos: Annotated[
        list[Path],
        typer.Argument(metavar="PHOTOS...", help="Photos, folders, or - for a photo on stdin."),
    ],
    gallery: GalleryOption = None,
    top: Annotated[
        int, typer.Option("--top", "-k", min=1, metavar="K", help="Candidates to rank a face.")
    ] = 5,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", min=-1, max=1, metavar="T", help="A cosine, this time only."),
    ] = None,
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
    workers: WorkersOption = None,
    quiet: QuietOption = False,
) -> None:
    """Who is in these photos? Every face gets a name, or unknown with its nearest candidate.

    Exit code 3 when no photo could be read.
    """
    from facecli.gallery import Gallery

    if as_json + as_jsonl + as_csv > 1:
        raise UsageError("choose one of --json, --jsonl and --csv")
    sources = _sources(photos)
    emit = _emitter(as_json, as_jsonl, as_csv)
    outcomes: set[Outcome] = set()
    with Gallery.open(gallery, model=model, device=device) as opened:
        decisions = opened.identify(sources, top=top, threshold=threshold, workers=workers)
        for path, group in groupby(decisions, key=lambda d: d.probe.path):
            faces = list(group)
            outcomes |= {d.outcome for d in faces}
            emit.photo(faces)
            if annotate is not None:
                _picture(annotate, path, sources, faces, quiet)
    emit.close()
    if outcomes <= {Outcome.FAILED}:
        note("no photo could be read", quiet)
        raise typer.Exit(3)
    if check and outcomes != {Outcome.IDENTIFIED}:
        raise typer.Exit(1)


def _sources(arguments: list[Path]) -> list[Path | bytes]:
    """Files and folders in the order given; what cannot be used is answered with a failed row."""
    from facecli.layouts import photos

    sources: list[Path | bytes] = []
    for argument in arguments:
        if str(argument) == "-":
            sources.append(sys.stdin.buffer.read())
        else:
            found, problems = photos([argument])
            sources += [*found, *(Path(p.path) for p in problems)]
    if not sources:
        raise InputError("there is no photo in " + ", ".join(map(str, arguments)))
    return sources


class _Lines:
    """Rows for programs, printed as they come."""

    def __init__(self, as_csv: bool) -> None:
        self._as_csv = as_csv
        self._header = True

    def photo(self, faces: list[Decision]) -> None:
        from facecli import report

        rows = [report.decision_row(d) for d in faces]
        if self._as_csv:
            typer.echo(report.as_csv(rows, header=self._header))
            self._header = False
        else:
            for row in rows:
                typer.echo(report.as_json_line(row))

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
        from facecli import report

        if self._as_json:
            typer.echo(report.as_json([report.decision_row(d) for d in self._faces]))
        else:
            typer.echo(report.decisions_table(self._faces))


def _emitter(as_json: bool, as_jsonl: bool, as_csv: bool) -> _Lines | _Whole:
    return _Lines(as_csv) if as_jsonl or as_csv else _Whole(as_json)


def _picture(
    folder: Path, path: str, sources: list[Path | bytes], faces: list[Decision], quiet: bool
) -> None:
    """Draw one photo's decisions into `folder`, under the photo's own name."""
    from facecli import images
    from facecli.annotate import annotate, save
    from facecli.types import FailureToAcquire

    from_stdin = next((s for s in sources if isinstance(s, bytes)), b"")
    data = from_stdin if path == "-" else images.read(Path(path))
    image = data if isinstance(data, FailureToAcquire) else images.decode(data, path)
    if isinstance(image, FailureToAcquire):
        return  # its row has said so
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / ("stdin.jpg" if path == "-" else f"{Path(path).stem}.jpg")
    number = 2
    while target.exists():
        target = target.with_stem(f"{target.stem.removesuffix(f'_{number - 1}')}_{number}")
        number += 1
    save(annotate(image, faces), target)
    note(f"wrote {target}", quiet)
