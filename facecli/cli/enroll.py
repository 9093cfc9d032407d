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
    key,
    note,
    progress,
    scratch,
)
from facecli.common.enums import DetectorName, Device, FacesRule


def enroll(
    photos: Annotated[
        list[Path],
        typer.Argument(
            metavar="PHOTOS",
            help="Folders (photos/<Name>/*.jpg or photos/<Name>_1.jpg), a CSV of path,subject, "
            "or with --subject any photos of one person.",
        ),
    ],
    subject: Annotated[
        str | None, typer.Option("--subject", "-s", metavar="NAME", help="All photos show NAME.")
    ] = None,
    faces: Annotated[
        FacesRule, typer.Option("--faces", help="Which faces of a photo to enrol.")
    ] = FacesRule.LARGEST,
    min_quality: QualityOption = None,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    model: ModelOption = None,
    device: DeviceOption = Device.AUTO,
    detector: DetectorOption = DetectorName.YUNET,
    workers: WorkersOption = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="Work on Dask workers: tcp://host:port, or local to start processes here.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 when any photo was skipped.")
    ] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Enrol photos of people. Run it again at any time: what is there already costs a hash.

    A photo that cannot be used is reported and skipped. Exit code 3 when none could be used.
    """
    from facecli.datasets.labels import labelled
    from facecli.gallery.gallery import Gallery
    from facecli.recognition.quality import DEFAULT_BAR
    from facecli.report import formats, people

    layout, secret = labelled(photos, subject), key(key_file)
    with (
        scratch(gallery, dry_run, secret) as path,
        Gallery.open(
            path, model=model, device=device, detector=detector, create=True, key=secret
        ) as opened,
    ):
        try:
            with progress(len(layout.photos), quiet) as step:
                result = opened.enroll(
                    layout.photos,
                    faces=faces,
                    min_quality=DEFAULT_BAR if min_quality is None else min_quality,
                    workers=workers,
                    scheduler=scheduler,
                    progress=lambda _: step(),
                    dry_run=dry_run,
                )
        except KeyboardInterrupt:
            note("interrupted; what was enrolled is kept, run the same command to go on")
            raise typer.Exit(130) from None
        row = people.enroll_row(result, layout.problems)
        info = None if dry_run else opened.info()
        typer.echo(formats.as_json(row) if as_json else people.enroll_text(row, info))
    if not row["enrolled"] and not row["already_there"]:
        note("no photo could be enrolled", quiet)
        raise typer.Exit(3)
    if check and row["skipped"]:
        raise typer.Exit(1)
