"""`facecli identify`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain, groupby
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
    DryRunOption,
    ForceOption,
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
    progress,
    quality_bar,
    terminal,
)
from facecli.cli.paths import Input, Output
from facecli.cli.pictures import drawn, folder_for_pictures
from facecli.cli.probes import begun, listed, named
from facecli.common.enums import DetectorName, Device, Outcome, TagPlace
from facecli.common.errors import FacecliError, InputError, OutputError, UsageError
from facecli.common.outputs import STDOUT

if TYPE_CHECKING:
    from facecli.common.types import Decision
    from facecli.datasets.sidecars import SidecarWriter
    from facecli.report.formats import OutputFormat

PhotosArgument = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PHOTOS", help="Photos, clips, folders, or - for a photo on stdin."),
    Input.PHOTOS,
]
ListOption = Annotated[
    Path | None,
    typer.Option(
        "--from-list",
        metavar="FILE",
        help="More photos, a path a line, or with NULs between; - reads stdin.",
    ),
    Input.PHOTOS,
]
TopOption = Annotated[
    int, typer.Option("--top", "-k", min=1, metavar="K", help="Candidates to rank a face.")
]
FpirOption = Annotated[
    float | None,
    typer.Option("--target-fpir", metavar="RATE", help="Another target, this time only."),
]
PossibleOption = Annotated[
    float | None,
    typer.Option(
        "--possible",
        metavar="RATE",
        help="Also mark as possible, never as identified, whom a laxer target FPIR lets pass, "
        "as in 0.1: leads to look at.",
    ),
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
CsvOption = Annotated[bool, typer.Option("--csv", help="One flat CSV row a face.")]
CandidatesOption = Annotated[
    bool,
    typer.Option("--candidates", help="In CSV, columns for each of the --top K candidates, too."),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE",
        help="Write there, not to stdout; .csv, .json and .jsonl say in which form.",
    ),
    Output(stdout=True),
]  # fmt: skip
AppendOption = Annotated[
    bool, typer.Option("--append", help="Add CSV or JSON Lines rows to -o FILE as they come.")
]
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
    possible: PossibleOption = None,
    exact: ExactOption = False,
    min_quality: QualityOption = None,
    every: EveryOption = None,
    key_frames: KeyFramesOption = False,
    frames: FramesOption = FramesRule.FIRST,
    annotate: AnnotateOption = None,
    write_tags: WriteTagsOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    as_jsonl: JsonLinesOption = False,
    as_csv: CsvOption = False,
    candidates: CandidatesOption = False,
    output: OutputOption = None,
    append: AppendOption = False,
    force: ForceOption = False,
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
    from facecli.report.formats import OutputFormat

    if output == STDOUT:
        output = None
    form = output_format(as_json, as_jsonl, as_csv, output)
    in_rows = form in (OutputFormat.CSV, OutputFormat.JSON_LINES)
    goes_with("--candidates", candidates, {"--csv": form is OutputFormat.CSV})
    goes_with("--append", append, {"-o FILE": output})
    goes_with("--append", append, {"--csv": in_rows, "--jsonl": in_rows})
    goes_with("--force", force, {"-o FILE": output})
    at_most_one({"--append": append, "--force": force})
    at_most_one({"--threshold": threshold, "--target-fpir": target_fpir})
    goes_with("--dry-run", dry_run, {"--write-tags": write_tags})
    looked_at = sampling(every, key_frames, frames)
    given = named(photos or [], from_list, quiet)
    if annotate is not None:
        folder_for_pictures(annotate)
    sources = begun(given, looked_at) if from_list is None else chain(given, listed(from_list))
    from facecli.report.columns import ANYWHERE
    from facecli.report.decisions import counts_line, decisions_text

    outcomes = Counter[Outcome]()
    unwritten: list[Path] = []
    with (
        _tag_writer(write_tags) as writer,
        open_gallery(gallery, key_file, model, device, detector) as opened,
        clip_progress(quiet) as step,
        _written(output, append, force) as write,
    ):
        decisions = opened.identify(
            sources, top=top, threshold=threshold, fpir=target_fpir, possible=possible,
            min_quality=quality_bar(min_quality), workers=workers, exact=exact,
            sampling=looked_at, boxes=annotate is not None, progress=step,
        )  # fmt: skip
        if writer is not None:
            decisions = _tagged(decisions, writer, dry_run, quiet, unwritten)
        if annotate is not None:
            decisions = drawn(decisions, annotate, given, looked_at, quiet)
        bar = _progress(given, from_list, in_rows and output is None, quiet)
        noted = _noting(outcomes, decisions, bar)
        screen = terminal() if output is None else ANYWHERE
        texts = decisions_text(noted, form, screen, top if candidates else 0)
        if output is not None:
            texts = _for_file(texts, output, form, append)
        for text in texts:
            write(text)
    if output is not None:
        note(f"wrote {output}: {counts_line(outcomes)}", quiet)
    if set(outcomes) <= {Outcome.FAILED}:
        note("no photo could be read", quiet)
        raise typer.Exit(InputError.exit_code)
    if unwritten:
        raise typer.Exit(OutputError.exit_code)
    if check and set(outcomes) != {Outcome.IDENTIFIED}:
        raise typer.Exit(1)


def _written(
    output: Path | None, append: bool, force: bool
) -> AbstractContextManager[Callable[[str], object]]:
    """What takes the lines: stdout, a file that is there when all is done, or one added to."""
    from facecli.common import outputs

    if output is None:
        return nullcontext(typer.echo)
    return outputs.more_lines(output) if append else outputs.lines(output, force=force)


def _for_file(texts: Iterator[str], file: Path, form: OutputFormat, append: bool) -> Iterator[str]:
    """Rows for a file: CSV as spreadsheets open it, and without its titles where it has them.

    Raises UsageError where it holds rows of another kind.
    """
    from facecli.common import outputs
    from facecli.report.formats import BOM, OutputFormat

    there = outputs.first_line(file) if append else ""
    if there and form is OutputFormat.JSON_LINES and not there.startswith('{"schema": '):
        raise UsageError(f"-o {file} holds no JSON Lines of identify: name another file")
    for number, text in enumerate(texts):
        if number == 0 and form is OutputFormat.CSV:
            header, _, rows = text.partition("\n")
            if there and header != there:
                raise UsageError(f"-o {file} does not have these columns: name another file")
            text = rows if there else BOM + text
        yield text


def _progress(
    named: Sequence[Path | bytes], from_list: Path | None, shown: bool, quiet: bool
) -> AbstractContextManager[Callable[[], object]]:
    """A bar where more than a photo is waited for, and no rows come meanwhile.

    shown: the rows go to stdout as they come.
    """
    alone = from_list is None and len(named) == 1
    if alone or (shown and sys.stdout is not None and sys.stdout.isatty()):
        return nullcontext(lambda: None)
    return progress(len(named) if from_list is None else None, quiet)


def _noting(
    outcomes: Counter[Outcome],
    decisions: Iterable[Decision],
    bar: AbstractContextManager[Callable[[], object]],
) -> Iterator[Decision]:
    """The same decisions; their outcomes are counted on the way, and the bar moves a photo.

    It is gone when the last one has come, before a table of them is printed.
    """
    with bar as step:
        for _, faces in groupby(decisions, key=lambda d: d.probe.path):
            for decision in faces:
                outcomes[decision.outcome] += 1
                yield decision
            step()


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
