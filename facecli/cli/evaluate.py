"""`facecli evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facecli.cli.options import (
    DetectorOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    QuietOption,
    WorkersOption,
    note,
    print_report,
    progress,
)
from facecli.common.enums import DetectorName, Device
from facecli.common.errors import InputError


def evaluate(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A folder with gallery/, mated/ and strangers/; or a folder per person, split by "
            "chance; or a table of pairs (1:1 only).",
        ),
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
    page: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write a self-contained HTML page."),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option("--plots", metavar="DIR", help="Write each plot as PNG and SVG."),
    ] = None,
    thumbnails: Annotated[
        bool, typer.Option("--thumbnails/--no-thumbnails", help="Faces in the page.")
    ] = True,
    model: ModelOption = None,
    device: DeviceOption = Device.AUTO,
    detector: DetectorOption = DetectorName.YUNET,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure how well it works on photos of yours, at the default threshold and at others.

    Writes no gallery. Photos without a face stay in every denominator.
    """
    from facecli.evaluation import run
    from facecli.evaluation.plan import read_plan
    from facecli.recognition.model_zoo import registry
    from facecli.recognition.pipeline import Extractor
    from facecli.report.evaluation import evaluation_row, evaluation_text

    if page is not None or plots is not None:
        # Here, so that a missing extra shows before the work is done.
        import facecli.report.evaluation_page as evaluation_page
        from facecli.report.html import save
    plan = read_plan(path, references, seed)
    extractor = Extractor.load(registry.find_embedder(model), device, detector)
    with progress(len(plan.photos), quiet) as step:
        result = run.evaluate(
            extractor, plan, target_fpir, seed=seed, workers=workers, progress=step
        )
    for problem in (*plan.problems, *result.remarks):
        note(problem, quiet)
    print_report(evaluation_row(result), evaluation_text(result), as_json)
    try:
        if plots is not None:
            written = list(evaluation_page.write_plots(result, plots))
            note(f"wrote {len(written)} files to {plots}", quiet)
        if page is not None:
            save(evaluation_page.page(result, thumbnails), page)
            note(f"wrote {page}", quiet)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be written ({error.strerror})") from error
