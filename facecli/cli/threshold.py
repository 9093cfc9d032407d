"""`facecli threshold`."""

from __future__ import annotations

from contextlib import nullcontext
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
    key,
    note,
)
from facecli.common.enums import DetectorName, Device, Target
from facecli.common.errors import UsageError

if TYPE_CHECKING:
    from facecli.gallery.gallery import Gallery
    from facecli.threshold.from_pairs import Calibration
    from facecli.threshold.from_strangers import StrangerCalibration


def threshold(
    calibrate: Annotated[
        Path | None,
        typer.Option(
            "--calibrate",
            metavar="PAIRS",
            help="Measure your own pairs: a CSV of file1,file2,same, LFW's pairs.txt, or a "
            "folder per person.",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="Make the pairs of a folder per person."),
    ] = None,
    strangers: Annotated[
        Path | None,
        typer.Option(
            "--strangers",
            metavar="DIR",
            help="Search for people who are not enrolled: a photo or a folder each.",
        ),
    ] = None,
    set_: Annotated[
        float | None, typer.Option("--set", metavar="T", help="Insist on a cosine.")
    ] = None,
    target_fpir: Annotated[
        float | None,
        typer.Option(
            "--target-fpir",
            metavar="RATE",
            help="Strangers named per search; by default 0.01, at this gallery's N.",
        ),
    ] = None,
    target_fmr: Annotated[
        float | None,
        typer.Option("--target-fmr", metavar="RATE", help="False matches per comparison."),
    ] = None,
    assure: Annotated[
        float | None,
        typer.Option(
            "--assure",
            metavar="PERCENT",
            help="With --strangers: keep the true FPIR at the target with this confidence, "
            "as in 95.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure and print, store nothing.")
    ] = False,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    model: ModelOption = None,
    device: DeviceOption = Device.AUTO,
    detector: DetectorOption = DetectorName.YUNET,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show the operating point in force, or put another in force.

    Exit code 6 when your photos cannot support a threshold.
    """
    from facecli.gallery.gallery import Gallery
    from facecli.report import formats
    from facecli.report.threshold import (
        calibration_row,
        calibration_text,
        point_row,
        point_text,
        strangers_row,
        strangers_text,
    )
    from facecli.threshold.operating_point import DEFAULT_FPIR

    pairs = calibrate if folder is None else folder
    if sum(given is not None for given in (calibrate, folder, strangers, set_)) > 1:
        raise UsageError("choose one of --calibrate, --folder, --strangers and --set")
    if target_fpir is not None and target_fmr is not None:
        raise UsageError("choose one of --target-fpir and --target-fmr")
    if pairs is None and strangers is None and target_fpir is not None:
        raise UsageError("--target-fpir goes with --calibrate or --strangers")
    if dry_run and pairs is None and strangers is None and set_ is None:
        raise UsageError("--dry-run goes with --calibrate, --strangers or --set")
    if pairs is None and target_fmr is not None:
        raise UsageError("--target-fmr goes with --calibrate: strangers' searches give an FPIR")
    if strangers is None and assure is not None:
        raise UsageError("--assure goes with --strangers")
    fpir = DEFAULT_FPIR if target_fpir is None else target_fpir
    with (
        Gallery.open(
            gallery, model=model, device=device, detector=detector, key=key(key_file)
        ) as opened,
        opened.storage.rehearsal() if dry_run and set_ is not None else nullcontext(),
        opened.storage.untouched() if dry_run and set_ is None else nullcontext(),
    ):
        if pairs is not None:
            aim = (Target.FPIR, fpir) if target_fmr is None else (Target.FMR, target_fmr)
            measured = _pairs(opened, pairs, aim, workers, not dry_run, quiet)
            row, text = calibration_row(measured), calibration_text(measured)
        elif strangers is not None:
            seen = _strangers(opened, strangers, fpir, assure, workers, not dry_run, quiet)
            row, text = strangers_row(seen), strangers_text(seen)
        else:
            point = opened.operating_point() if set_ is None else opened.set_threshold(set_)
            row, text = point_row(point), point_text(point)
    typer.echo(formats.as_json(row) if as_json else text)


def _pairs(
    gallery: Gallery,
    path: Path,
    aim: tuple[Target, float],
    workers: int | None,
    store: bool,
    quiet: bool,
) -> Calibration:
    from facecli.datasets.pairs import read_pairs
    from facecli.threshold.from_pairs import enrolled_among

    pairs = read_pairs(path)
    for problem in pairs.problems:
        note(problem, quiet)
    if enrolled := enrolled_among(pairs, [row.name for row in gallery.storage.subjects()]):
        names = ", ".join(enrolled[:5]) + (", ..." if len(enrolled) > 5 else "")
        note(
            f"{len(enrolled)} of these people are enrolled ({names}): pairs may be of them, but "
            "use other photos than those enrolled",
            quiet,
        )
    return gallery.calibrate(pairs, target=aim[0], rate=aim[1], workers=workers, store=store)


def _strangers(
    gallery: Gallery,
    folder: Path,
    rate: float,
    assure: float | None,
    workers: int | None,
    store: bool,
    quiet: bool,
) -> StrangerCalibration:
    from facecli.threshold.from_strangers import read_people

    found = read_people(folder)
    for problem in found.problems:
        note(f"{problem.path}: {problem.detail or problem.reason}", quiet)
    if assure is not None and not 50 <= assure < 100:
        raise UsageError(f"--assure takes a confidence from 50 to below 100 %, not {assure:g}")
    return gallery.calibrate_strangers(
        found.people,
        rate=rate,
        assurance=None if assure is None else assure / 100,
        workers=workers,
        store=store,
    )
