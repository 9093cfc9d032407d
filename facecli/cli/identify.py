"""`facecli identify`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecli.cli.clips import (
    EveryOption,
    FramesOption,
    FramesRule,
    KeyFramesOption,
    clip_progress,
    sampling,
)
from facecli.cli.options import (
    DetectorOption,
    DeviceOption,
    GalleryOption,
    JsonOption,
    KeyOption,
    ModelOption,
    QualityOption,
    QuietOption,
    ThresholdOption,
    WorkersOption,
    at_most_one,
    note,
    open_gallery,
    output_format,
    quality_bar,
)
from facecli.cli.paths import Input, Output
from facecli.common.enums import DetectorName, Device, Outcome
from facecli.common.errors import InputError, OutputError, UsageError
from facecli.common.files import private_folder

if TYPE_CHECKING:
    from facecli.common.types import Decision
    from facecli.recognition.pipeline import Source
    from facecli.video.frames import Sampling

PhotosArgument = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PHOTOS", help="Photos, clips, folders, or - for a photo on stdin."),
    Input.PHOTOS,
]
ListOption = Annotated[
    Path | None,
    typer.Option("--from-list", metavar="FILE", help="More photos, a path a line; - reads stdin."),
    Input.PHOTOS,
]
TopOption = Annotated[
    int, typer.Option("--top", "-k", min=1, metavar="K", help="Candidates to rank a face.")
]
FpirOption = Annotated[
    float | None,
    typer.Option("--target-fpir", metavar="RATE", help="Another target, this time only."),
]
ExactOption = Annotated[
    bool, typer.Option("--exact", help="As brute force, where the gallery is very large; slower.")
]
AnnotateOption = Annotated[
    Path | None,
    typer.Option("--annotate", metavar="DIR", help="Write pictures with boxes and names."),
    Output(folder=True),
]
JsonLinesOption = Annotated[bool, typer.Option("--jsonl", help="One JSON object a face.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="One CSV row a face.")]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Exit with 1 unless every face was identified.")
]


def identify(
    photos: PhotosArgument = None,
    from_list: ListOption = None,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    top: TopOption = 5,
    threshold: ThresholdOption = None,
    target_fpir: FpirOption = None,
    exact: ExactOption = False,
    min_quality: QualityOption = None,
    every: EveryOption = None,
    key_frames: KeyFramesOption = False,
    frames: FramesOption = FramesRule.FIRST,
    annotate: AnnotateOption = None,
    as_json: JsonOption = False,
    as_jsonl: JsonLinesOption = False,
    as_csv: CsvOption = False,
    check: CheckOption = False,
    model: ModelOption = None,
    device: DeviceOption = Device.AUTO,
    detector: DetectorOption = DetectorName.YUNET,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
) -> None:
    """Who is in these photos? Every face gets a name, or unknown with its nearest candidate.

    Of a clip every appearance of a person gets one answer; what a file holds tells a clip.
    --jsonl and --csv print each row as it comes. Exit code 3 when no photo could be read.
    """
    form = output_format(as_json, as_jsonl, as_csv)
    at_most_one({"--threshold": threshold, "--target-fpir": target_fpir})
    looked_at = sampling(every, key_frames, frames)
    named = _named(photos or [], from_list, quiet)
    if annotate is not None:
        _make(annotate)
    sources = _begun(named, looked_at) if from_list is None else chain(named, _listed(from_list))
    from facecli.report.decisions import decisions_text

    outcomes = set[Outcome]()
    with (
        open_gallery(gallery, key_file, model, device, detector) as opened,
        clip_progress(quiet) as step,
    ):
        decisions = opened.identify(
            sources, top=top, threshold=threshold, fpir=target_fpir,
            min_quality=quality_bar(min_quality), workers=workers, exact=exact,
            sampling=looked_at, boxes=annotate is not None, progress=step,
        )  # fmt: skip
        if annotate is not None:
            decisions = _drawn(decisions, annotate, named, quiet)
        for text in decisions_text(_noting(outcomes, decisions), form):
            typer.echo(text)
    if outcomes <= {Outcome.FAILED}:
        note("no photo could be read", quiet)
        raise typer.Exit(InputError.exit_code)
    if check and outcomes != {Outcome.IDENTIFIED}:
        raise typer.Exit(1)


def _named(arguments: list[Path], from_list: Path | None, quiet: bool) -> list[Path | bytes]:
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


def _listed(file: Path) -> Iterator[Path]:
    """The photos that a file or stdin names, one at a time, while it is still being written."""
    try:
        lines = sys.stdin.buffer if str(file) == "-" else file.open("rb")
    except OSError as error:
        raise InputError(f"--from-list {file}: {error.strerror}") from error
    return (Path(os.fsdecode(name)) for line in lines if (name := line.rstrip(b"\r\n")))


def _begun(sources: Sequence[Path | bytes], looked_at: Sampling) -> Sequence[Source]:
    """A photo by itself is decoded while the gallery's code, which takes as long, is imported."""
    from facecli.recognition.pipeline import open_ahead

    if len(sources) != 1 or (isinstance(sources[0], Path) and looked_at.takes(sources[0])):
        return sources
    return [open_ahead(sources[0])]


def _noting(outcomes: set[Outcome], decisions: Iterable[Decision]) -> Iterator[Decision]:
    """The same decisions; their outcomes are added to `outcomes` on the way."""
    for decision in decisions:
        outcomes.add(decision.outcome)
        yield decision


def _make(folder: Path) -> None:
    try:
        private_folder(folder)
    except OSError as error:
        raise OutputError(f"--annotate {folder}: {error.strerror}; name another folder") from error


def _drawn(
    decisions: Iterable[Decision], folder: Path, sources: list[Path | bytes], quiet: bool
) -> Iterator[Decision]:
    """The same decisions; after a photo's last one its picture is drawn into `folder`."""
    for path, group in groupby(decisions, key=lambda d: d.probe.path):
        faces = list(group)
        yield from faces
        _picture(folder, path, sources, faces, quiet)


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
    names = chain([f"{stem}.jpg"], (f"{stem}_{number}.jpg" for number in count(2)))
    target = next(t for t in (folder / name for name in names) if not os.path.lexists(t))
    save(annotate(image, faces), target)
    note(f"wrote {target}", quiet)
