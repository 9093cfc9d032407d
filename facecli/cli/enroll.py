"""`facecli enroll`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    WorkersOption,
    note,
    open_to_add,
    print_report,
    progress,
    quality_bar,
    resumable,
)
from facecli.cli.paths import Input
from facecli.common.enums import DetectorName, Device, FacesRule
from facecli.common.errors import InputError

PhotosArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="PHOTOS",
        help="Folders (photos/<Name>/*.jpg or photos/<Name>_1.jpg), people's own folders "
        "(photos/*), a CSV of path,subject, or with --subject any photos of one person.",
    ),
    Input.PHOTOS,
]
SubjectOption = Annotated[
    str | None, typer.Option("--subject", "-s", metavar="NAME", help="All photos show NAME.")
]
FacesOption = Annotated[
    FacesRule,
    typer.Option(
        "--faces",
        help="Which faces of a photo to enrol; clear: the largest, unless another comes near it.",
    ),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Work on Dask workers: tcp://host:port, or local to start processes here.",
    ),
]
ReplaceOption = Annotated[
    bool,
    typer.Option(
        "--replace",
        help="Where another picture lies under an enrolled photo's path, remove what that gave.",
    ),
]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Exit with 1 when any photo was skipped.")
]


def enroll(
    photos: PhotosArgument,
    subject: SubjectOption = None,
    faces: FacesOption = FacesRule.CLEAR,
    min_quality: QualityOption = None,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    model: ModelOption = None,
    device: DeviceOption = Device.AUTO,
    detector: DetectorOption = DetectorName.YUNET,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    replace: ReplaceOption = False,
    check: CheckOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Enrol photos of people. Run it again at any time: what is there already costs a hash.

    A photo that cannot be used is reported and skipped. Exit code 3 when none could be used.
    """
    from facecli.datasets.labels import labelled
    from facecli.report.enrollment import enroll_row, enroll_text

    layout = labelled(photos, subject)
    with open_to_add(gallery, key_file, dry_run, model, device, detector) as opened:
        with (
            resumable("what was enrolled is kept, run the same command to go on"),
            progress(len(layout.photos), quiet) as step,
        ):
            result = opened.enroll(
                layout.photos, faces=faces, min_quality=quality_bar(min_quality), workers=workers,
                scheduler=scheduler, progress=lambda _: step(), dry_run=dry_run,
                replace=replace,
            )  # fmt: skip
        row = enroll_row(result, layout)
        print_report(row, enroll_text(row, None if dry_run else opened.info()), as_json)
    if not row["enrolled"] and not row["already_there"]:
        note("no photo could be enrolled", quiet)
        raise typer.Exit(InputError.exit_code)
    if check and row["skipped"]:
        raise typer.Exit(1)
