"""`facecli threshold`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
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
    QuietOption,
    WorkersOption,
    at_most_one,
    goes_with,
    note,
    open_gallery,
    print_report,
    say_look_alikes,
)
from facecli.cli.paths import Input
from facecli.common.enums import DetectorName, Device, Target
from facecli.common.errors import UsageError

if TYPE_CHECKING:
    from facecli.datasets.pairs import Pairs
    from facecli.gallery.gallery import Gallery
    from facecli.storage.interface import Storage
    from facecli.threshold.from_strangers import Stranger

PairsOption = Annotated[
    Path | None,
    typer.Option(
        "--calibrate",
        metavar="PAIRS",
        help="Measure your own pairs: a CSV of file1,file2,same, LFW's pairs.txt, or a "
        "folder per person.",
    ),
    Input.PHOTOS,
]
FolderOption = Annotated[
    Path | None,
    typer.Option("--folder", metavar="DIR", help="Make the pairs of a folder per person."),
    Input.PHOTOS,
]
StrangersOption = Annotated[
    Path | None,
    typer.Option(
        "--strangers",
        metavar="DIR",
        help="Search for people who are not enrolled: a photo or a folder each.",
    ),
    Input.PHOTOS,
]
SetOption = Annotated[float | None, typer.Option("--set", metavar="T", help="Insist on a cosine.")]
ResetOption = Annotated[
    bool, typer.Option("--reset", help="Back to the default: the model's table at FPIR 1 %.")
]
FpirOption = Annotated[
    float | None,
    typer.Option(
        "--target-fpir",
        metavar="RATE",
        help="Strangers named per search; by default 0.01, at this gallery's N.",
    ),
]
FmrOption = Annotated[
    float | None,
    typer.Option("--target-fmr", metavar="RATE", help="False matches per comparison."),
]
AssureOption = Annotated[
    float | None,
    typer.Option(
        "--assure",
        metavar="PERCENT",
        help="With --strangers: keep the true FPIR at the target with this confidence, as in 95.",
    ),
]
RehearseOption = Annotated[
    bool, typer.Option("--dry-run", help="Measure and print, store nothing.")
]


def threshold(
    calibrate: PairsOption = None,
    folder: FolderOption = None,
    strangers: StrangersOption = None,
    set_: SetOption = None,
    reset: ResetOption = False,
    target_fpir: FpirOption = None,
    target_fmr: FmrOption = None,
    assure: AssureOption = None,
    dry_run: RehearseOption = False,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    model: ModelOption = None,
    device: DeviceOption = Device.AUTO,
    detector: DetectorOption = DetectorName.YUNET,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show the operating point in force, or put another in force; `gallery undo` takes it back.

    Exit code 6 when your photos cannot support a threshold.
    """
    given = {
        "--calibrate": calibrate,
        "--folder": folder,
        "--strangers": strangers,
        "--set": set_,
        "--reset": reset,
    }
    at_most_one(given)
    at_most_one({"--target-fpir": target_fpir, "--target-fmr": target_fmr})
    pairs = calibrate if folder is None else folder
    measured = {"--calibrate": pairs, "--strangers": strangers}
    goes_with("--target-fpir", target_fpir, measured)
    goes_with("--dry-run", dry_run, {**measured, "--set": set_, "--reset": reset})
    goes_with(
        "--target-fmr", target_fmr, {"--calibrate": pairs}, ": strangers' searches give an FPIR"
    )
    goes_with("--assure", assure, {"--strangers": strangers})
    from facecli.report import threshold as report
    from facecli.threshold.operating_point import DEFAULT_FPIR

    target = Target.FPIR if target_fmr is None else Target.FMR
    rate = next(r for r in (target_fpir, target_fmr, DEFAULT_FPIR) if r is not None)
    with (
        open_gallery(gallery, key_file, model, device, detector) as opened,
        _dry(opened.storage, reset or set_ is not None) if dry_run else nullcontext(),
    ):
        if pairs is not None:
            calibration = opened.calibrate(
                _pairs(pairs, opened, quiet), target=target, rate=rate, workers=workers,
                store=not dry_run,
            )  # fmt: skip
            row, text = report.calibration_row(calibration), report.calibration_text(calibration)
        elif strangers is not None:
            seen = opened.calibrate_strangers(
                _strangers(strangers, quiet), rate=rate, assurance=_confidence(assure),
                workers=workers, store=not dry_run,
            )  # fmt: skip
            row, text = report.strangers_row(seen), report.strangers_text(seen)
        else:
            point = (
                opened.reset_threshold()
                if reset
                else opened.operating_point()
                if set_ is None
                else opened.set_threshold(set_)
            )
            row, text = report.point_row(point), report.point_text(point)
            say_look_alikes(opened, quiet)
    print_report(row, text, as_json)


def _dry(storage: Storage, by_hand: bool) -> AbstractContextManager[None]:
    """Nothing is changed inside. One by hand is stored to be shown, which takes no time; while
    photos are measured others may write.
    """
    return storage.rehearsal() if by_hand else storage.untouched()


def _pairs(path: Path, gallery: Gallery, quiet: bool) -> Pairs:
    """Those of a table or folder; what is odd about them is said."""
    from facecli.datasets.pairs import read_pairs
    from facecli.threshold.from_pairs import enrolled_among

    pairs = read_pairs(path)
    if pairs.columns:
        note(f"read by the columns {', '.join(pairs.columns)}", quiet)
    for problem in pairs.problems:
        note(problem, quiet)
    if enrolled := enrolled_among(pairs, [row.name for row in gallery.storage.reader.subjects()]):
        names = ", ".join(enrolled[:5]) + (", ..." if len(enrolled) > 5 else "")
        note(
            f"{len(enrolled)} of these people are enrolled ({names}): pairs may be of them, but "
            "use other photos than those enrolled",
            quiet,
        )
    return pairs


def _strangers(folder: Path, quiet: bool) -> Sequence[Stranger]:
    """The strangers of a folder; what cannot be used of it is said."""
    from facecli.datasets.photo_files import left_out_lines
    from facecli.threshold.from_strangers import read_people

    found = read_people(folder)
    for line in left_out_lines(found.left_out):
        note(line, quiet)
    for problem in found.problems:
        note(f"{problem.path}: {problem.detail or problem.reason}", quiet)
    return found.people


def _confidence(percent: float | None) -> float | None:
    """What --assure asks for, in (0, 1)."""
    if percent is None:
        return None
    if not 50 <= percent < 100:
        raise UsageError(f"--assure takes a confidence from 50 to below 100 %, not {percent:g}")
    return percent / 100
