"""`facecli threshold`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
from facecli.errors import UsageError
from facecli.terms import Device, Target


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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure and print, store nothing.")
    ] = False,
    gallery: GalleryOption = None,
    model: ModelOption = None,
    device: DeviceOption = Device.AUTO,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show the operating point in force, or put another in force.

    Exit code 6 when your pairs cannot support a threshold.
    """
    from facecli import report
    from facecli.gallery import Gallery

    if calibrate is not None and set_ is not None:
        raise UsageError("choose one of --calibrate and --set")
    if calibrate is None and (target_fpir is not None or target_fmr is not None or dry_run):
        raise UsageError("--target-fpir, --target-fmr and --dry-run go with --calibrate")
    if target_fpir is not None and target_fmr is not None:
        raise UsageError("choose one of --target-fpir and --target-fmr")
    with Gallery.open(gallery, model=model, device=device) as opened:
        if calibrate is None:
            point = opened.operating_point() if set_ is None else opened.set_threshold(set_)
            typer.echo(
                report.as_json(report.point_row(point)) if as_json else report.point_text(point)
            )
            return
        from facecli.operating import DEFAULT_FPIR
        from facecli.trials import read_pairs

        pairs = read_pairs(calibrate)
        for problem in pairs.problems:
            note(problem, quiet)
        result = opened.calibrate(
            pairs,
            target=Target.FPIR if target_fmr is None else Target.FMR,
            rate=next((r for r in (target_fmr, target_fpir) if r is not None), DEFAULT_FPIR),
            workers=workers,
            store=not dry_run,
        )
    typer.echo(
        report.as_json(report.calibration_row(result))
        if as_json
        else report.calibration_text(result)
    )
