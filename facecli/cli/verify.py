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
    key,
)
from facecli.common.enums import DetectorName, Device


def verify(
    first: Annotated[Path, typer.Argument(metavar="A", help="A photo.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another.")],
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", metavar="T", help="A cosine, this time only."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 unless they are the same subject.")
    ] = False,
    as_json: JsonOption = False,
    model: ModelOption = None,
    device: DeviceOption = Device.AUTO,
    detector: DetectorOption = DetectorName.YUNET,
) -> None:
    """Do two photos show the same person? Compares the largest face of each.

    At the gallery's operating point; without a gallery, at the embedder's own for FMR 1e-4.
    """
    from facecli.common.places import default_gallery
    from facecli.gallery.gallery import Gallery
    from facecli.gallery.verify import verify_without_gallery
    from facecli.report import decisions, formats

    if gallery is None and not default_gallery().exists():
        result = verify_without_gallery(
            first, second, model=model, device=device, detector=detector, threshold=threshold
        )
    else:
        with Gallery.open(
            gallery, model=model, device=device, detector=detector, key=key(key_file)
        ) as opened:
            result = opened.verify(first, second, threshold=threshold)
    typer.echo(
        formats.as_json(decisions.verification_row(result))
        if as_json
        else decisions.verification_text(result)
    )
    if check and not result.accepted:
        raise typer.Exit(1)
