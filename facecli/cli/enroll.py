"""`facecli enroll`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    at_most_one,
    note,
    open_to_add,
    print_report,
    progress,
    quality_bar,
    resumable,
    say_look_alikes,
    terminal,
)
from facecli.cli.paths import Input
from facecli.common.enums import DetectorName, Device, FacesRule
from facecli.common.errors import InputError

if TYPE_CHECKING:
    from facecli.gallery.gallery import Gallery

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
FromTagsOption = Annotated[
    bool,
    typer.Option(
        "--from-tags",
        help="Names are those of face tags in the photos and their sidecars.",
    ),
]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Exit with 1 when any photo was skipped.")
]


def enroll(
    photos: PhotosArgument,
    subject: SubjectOption = None,
    faces: FacesOption = FacesRule.CLEAR,
    from_tags: FromTagsOption = False,
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

    A clip that shows one person gives its best faces.
    A photo that cannot be used is reported and skipped. Exit code 3 when none could be used.
    """
    if from_tags:
        at_most_one(
            {"--from-tags": True, "--subject": subject, "--scheduler": scheduler,
             f"--faces {faces}": faces is not FacesRule.CLEAR}
        )  # fmt: skip
        with open_to_add(gallery, key_file, dry_run, model, device, detector) as opened:
            row = _from_tags(
                opened, photos, quality_bar(min_quality), workers, replace, dry_run, quiet, as_json
            )
        return _end(row, check, quiet)
    from facecli.datasets.labels import labelled
    from facecli.report.enrollment import enroll_row, enroll_text

    layout = labelled(photos, subject, moving=True)
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
        text = enroll_text(row, None if dry_run else opened.info(), terminal())
        print_report(row, text, as_json)
        say_look_alikes(opened, quiet, {item.subject for item in result.items if item.faces})
    return _end(row, check, quiet)


def _from_tags(
    gallery: Gallery,
    photos: list[Path],
    bar: float,
    workers: int | None,
    replace: bool,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> Mapping[str, Any]:
    """Enrol the faces that tags name, print the report, and give it back."""
    from facecli.datasets.labels import LabelledPhotos
    from facecli.datasets.labels import photos as found_below
    from facecli.datasets.regions import TAG_FILES
    from facecli.gallery.enroll_tagged import enroll_tagged
    from facecli.report.enrollment import enroll_row, enroll_text

    found = found_below(photos)
    paths = found.paths
    with (
        resumable("what was enrolled is kept, run the same command to go on"),
        progress(len(paths), quiet) as step,
    ):
        result = enroll_tagged(
            gallery, paths, min_quality=bar, workers=workers, progress=step, dry_run=dry_run,
            replace_them=replace,
        )  # fmt: skip
    # Of what is no photo, sidecars were read.
    left_out = tuple(item for item in found.left_out if item.path.suffix.lower() not in TAG_FILES)
    row = enroll_row(result, LabelledPhotos((), found.problems, left_out))
    untagged = len(paths) - len({item.path for item in result.items})
    print_report(row, enroll_text(row, None if dry_run else gallery.info(), terminal()), as_json)
    if untagged:
        note(f"{untagged:,} of {len(paths):,} photos bear no face tags", quiet)
    say_look_alikes(gallery, quiet, {item.subject for item in result.items if item.faces})
    return row


def _end(row: Mapping[str, Any], check: bool, quiet: bool) -> None:
    """The exit code of a run."""
    if not row["enrolled"] and not row["already_there"]:
        note("no photo could be enrolled", quiet)
        raise typer.Exit(InputError.exit_code)
    if check and row["skipped"]:
        raise typer.Exit(1)
