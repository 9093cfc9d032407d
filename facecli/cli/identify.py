"""`facecli identify`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain, count, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecli.cli.options import (
    DetectorOption,
    DeviceOption,
    DryRunOption,
    GalleryOption,
    JsonOption,
    KeyOption,
    ModelOption,
    QualityOption,
    QuietOption,
    ThresholdOption,
    WorkersOption,
    at_most_one,
    fail,
    goes_with,
    note,
    open_gallery,
    output_format,
    quality_bar,
)
from facecli.cli.paths import Input, Output
from facecli.common.enums import DetectorName, Device, Outcome, TagPlace
from facecli.common.errors import FacecliError, InputError, OutputError, UsageError
from facecli.common.files import private_folder

if TYPE_CHECKING:
    from facecli.common.types import Decision
    from facecli.datasets.sidecars import SidecarWriter
    from facecli.recognition.pipeline import Source

PhotosArgument = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PHOTOS", help="Photos, folders, or - for a photo on stdin."),
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
WriteTagsOption = Annotated[
    TagPlace | None,
    typer.Option(
        "--write-tags", help="Write who was identified into an .xmp file beside each photo."
    ),
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
    annotate: AnnotateOption = None,
    write_tags: WriteTagsOption = None,
    dry_run: DryRunOption = False,
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

    --jsonl and --csv print each row as it comes. Exit code 3 when no photo could be read.
    """
    form = output_format(as_json, as_jsonl, as_csv)
    at_most_one({"--threshold": threshold, "--target-fpir": target_fpir})
    goes_with("--dry-run", dry_run, {"--write-tags": write_tags})
    named = _named(photos or [], from_list, quiet)
    if annotate is not None:
        _make(annotate)
    sources = _begun(named) if from_list is None else chain(named, _listed(from_list))
    from facecli.report.decisions import decisions_text

    outcomes = set[Outcome]()
    unwritten: list[Path] = []
    with (
        _tag_writer(write_tags) as writer,
        open_gallery(gallery, key_file, model, device, detector) as opened,
    ):
        decisions = opened.identify(
            sources, top=top, threshold=threshold, fpir=target_fpir,
            min_quality=quality_bar(min_quality), workers=workers, exact=exact,
        )  # fmt: skip
        if writer is not None:
            decisions = _tagged(decisions, writer, dry_run, quiet, unwritten)
        if annotate is not None:
            decisions = _drawn(decisions, annotate, named, quiet)
        for text in decisions_text(_noting(outcomes, decisions), form):
            typer.echo(text)
    if outcomes <= {Outcome.FAILED}:
        note("no photo could be read", quiet)
        raise typer.Exit(InputError.exit_code)
    if unwritten:
        raise typer.Exit(OutputError.exit_code)
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
        found = photos([argument])
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


def _begun(sources: Sequence[Path | bytes]) -> Sequence[Source]:
    """A photo by itself is decoded while the gallery's code, which takes as long, is imported."""
    from facecli.recognition.pipeline import open_ahead

    return [open_ahead(sources[0])] if len(sources) == 1 else sources


def _noting(outcomes: set[Outcome], decisions: Iterable[Decision]) -> Iterator[Decision]:
    """The same decisions; their outcomes are added to `outcomes` on the way."""
    for decision in decisions:
        outcomes.add(decision.outcome)
        yield decision


def _tag_writer(place: TagPlace | None) -> AbstractContextManager[SidecarWriter | None]:
    """What writes sidecars, where that is asked for."""
    if place is None:
        return nullcontext()
    from facecli.datasets import sidecars

    return sidecars.opened()


def _tagged(
    decisions: Iterable[Decision],
    writer: SidecarWriter,
    dry_run: bool,
    quiet: bool,
    unwritten: list[Path],
) -> Iterator[Decision]:
    """The same decisions; each photo's sidecar is written after its last one, and told of."""
    from facecli.datasets.sidecars import Written
    from facecli.gallery.write_tags import write_tags

    def told(photo: Path, became: Written | FacecliError) -> None:
        if isinstance(became, FacecliError):
            unwritten.append(photo)
            fail(str(became))
            return
        for line in became.left:
            note(f"{became.path}: {line}")
        if became.names:
            how = "would write" if dry_run else "wrote"
            note(f"{how} {', '.join(became.names)} to {became.path}", quiet)

    return write_tags(decisions, writer, told, dry_run=dry_run)


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
