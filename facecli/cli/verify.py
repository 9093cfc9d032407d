"""`facecli verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facecli.cli.options import (
    DetectorOption,
    DeviceOption,
    GalleryOption,
    JsonOption,
    KeyOption,
    ModelOption,
    ThresholdOption,
    open_gallery,
    print_report,
)
from facecli.cli.paths import Input
from facecli.common.enums import DetectorName, Device


def verify(
    first: Annotated[Path, typer.Argument(metavar="A", help="A photo."), Input.PHOTOS],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another."), Input.PHOTOS],
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    threshold: ThresholdOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 unless they are the same subject.")
    ] = False,
    as_json: JsonOption = False,
    model: ModelOption = None,
    device: DeviceOption = Device.AUTO,
    detector: DetectorOption = DetectorName.YUNET,
) -> None:
    """Do two photos show the same person? Compares the most prominent face of each.

    At the gallery's operating point; without a gallery, at the embedder's own for FMR 1e-4.
    """
    from facecli.common.places import default_gallery
    from facecli.gallery.verify import verify_without_gallery
    from facecli.report.decisions import verification_row, verification_text

    if gallery is None and not default_gallery().exists():
        result = verify_without_gallery(
            first, second, model=model, device=device, detector=detector, threshold=threshold
        )
    else:
        with open_gallery(gallery, key_file, model, device, detector) as opened:
            result = opened.verify(first, second, threshold=threshold)
    print_report(verification_row(result), verification_text(result), as_json)
    if check and not result.accepted:
        raise typer.Exit(1)
