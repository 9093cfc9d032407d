"""`facecli gallery re-embed`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecli.cli.options import (
    DeviceOption,
    DryRunOption,
    GalleryOption,
    JsonOption,
    KeyOption,
    QuietOption,
    WorkersOption,
    YesOption,
    confirm,
    note,
    open_gallery,
    print_change,
    progress,
    resumable,
)
from facecli.cli.paths import Input, Output
from facecli.common.enums import Device

if TYPE_CHECKING:
    from facecli.gallery.re_embed import LeftOut


def re_embed(
    model: Annotated[
        str,
        typer.Option("--model", "-m", metavar="NAME", help="The new embedder's."),
    ],
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="A new gallery; the old stays as it is."),
        Output(new=True),
    ] = None,
    look_in: Annotated[
        list[Path] | None,
        typer.Option(
            "--look-in", metavar="DIR", help="Where photos may be that were moved; give several."
        ),
        Input.PHOTOS,
    ] = None,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    device: DeviceOption = Device.AUTO,
    workers: WorkersOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Move the gallery to another embedder, from the photos it was enrolled from.

    Run it again when it was interrupted: it goes on. References whose photo is gone or changed are
    listed and left out, once you agree; --look-in finds moved photos by their content. A copy of
    the old gallery stays beside it. The threshold is the old embedder's and stays there, with what
    could be undone.
    """
    from facecli.report import formats, maintenance

    def agree(left_out: Sequence[LeftOut]) -> None:
        note(maintenance.left_out_text(left_out))
        if not yes:
            confirm(f"leave {formats.counted(len(left_out), 'reference')} out?")

    with (
        open_gallery(gallery, key_file, device=device) as opened,
        resumable("run the same command to go on"),
        progress(opened.info().references, quiet) as step,
    ):
        result = opened.re_embed(
            model,
            to=to,
            workers=workers,
            progress=step,
            accept=agree,
            dry_run=dry_run,
            look_in=look_in or (),
        )
    if dry_run and result.left_out and not as_json:
        note(maintenance.left_out_text(result.left_out))
    row, text = maintenance.re_embedding_row(result), maintenance.re_embedding_text(result)
    print_change(row, text, dry_run, as_json)
