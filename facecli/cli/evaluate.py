"""`facecli evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facecli.cli.options import (
    DetectorOption,
    DeviceOption,
    ForceOption,
    JsonOption,
    ModelOption,
    QuietOption,
    ReportOption,
    WorkersOption,
    at_most_one,
    goes_with,
    note,
    print_beside,
    progress,
    terminal,
)
from facecli.cli.paths import Input, Output
from facecli.common.enums import DetectorName, Device
from facecli.common.outputs import STDOUT


def evaluate(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A folder with gallery/, mated/ and strangers/; or a folder per person, split by "
            "chance; or a table of pairs (1:1 only).",
        ),
        Input.PHOTOS,
    ],
    target_fpir: Annotated[
        float,
        typer.Option("--target-fpir", metavar="RATE", help="Strangers named per search."),
    ] = 0.01,
    references: Annotated[
        int,
        typer.Option("--references", min=1, metavar="K", help="Photos a person to enrol, split."),
    ] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="For what is drawn by chance.")] = 0,
    page: ReportOption = None,
    plots: Annotated[
        Path | None,
        typer.Option("--plots", metavar="DIR", help="Write each plot as PNG and SVG."),
        Output(folder=True),
    ] = None,
    thumbnails: Annotated[
        bool, typer.Option("--thumbnails/--no-thumbnails", help="Faces in the page.")
    ] = True,
    model: ModelOption = None,
    device: DeviceOption = Device.AUTO,
    detector: DetectorOption = DetectorName.YUNET,
    workers: WorkersOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure how well it works on photos of yours, at the default threshold and at others.

    Writes no gallery. Photos without a face stay in every denominator. A clip counts as one photo
    of the person seen longest in it.
    """
    from facecli.evaluation import run
    from facecli.evaluation.plan import read_plan
    from facecli.recognition.model_zoo import registry
    from facecli.recognition.pipeline import Extractor
    from facecli.report.evaluation import evaluation_row, evaluation_text
    from facecli.report.formats import counted
    from facecli.video.probes import photos_and_clips

    at_most_one({"--json": as_json, "--report -": page == STDOUT})
    goes_with("--force", force, {"--report FILE": page, "--plots DIR": plots})
    # Here, so that a missing extra, and what is there, show before the work is done.
    if plots is not None:
        from facecli.report import evaluation_plots

        evaluation_plots.judge(plots, force)
    if page is not None:
        from facecli.report import evaluation_page
        from facecli.report.html import save
    plan = read_plan(path, references, seed)
    extractor = Extractor.load(registry.find_embedder(model), device, detector)
    with progress(len(plan.photos), quiet) as step:
        result = run.evaluate(
            extractor,
            plan,
            target_fpir,
            seed=seed,
            workers=workers,
            progress=step,
            read=photos_and_clips,
        )
    for problem in (*plan.problems, *result.remarks):
        note(problem, quiet)
    html = "" if page is None else evaluation_page.page(result, thumbnails)
    beside = html if page == STDOUT else ""
    print_beside(beside, evaluation_row(result), evaluation_text(result, terminal()), as_json)
    if plots is not None:
        drawn = evaluation_plots.drawings(result)
        written = list(evaluation_plots.write_plots(drawn, plots, force=force))
        empty = len(drawn) - len(written) // 2
        left_out = f"; too few photos for {counted(empty, 'other plot')}" if empty else ""
        note(f"wrote {len(written)} files to {plots}{left_out}", quiet)
    if page is not None and page != STDOUT:
        save(html, page, force=force)
        note(f"wrote {page}", quiet)
