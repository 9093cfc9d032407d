"""`facecli doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from facecli.cli.options import GalleryOption, JsonOption, KeyOption, print_report


def doctor(
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    as_json: JsonOption = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 where a fault was found.")
    ] = False,
) -> None:
    """Is everything in order? Runtime, devices, folders, models, gallery; a fix for every fault.

    Every device is tried on a known face. A large gallery is read whole, which takes a while.
    """
    from facecli.cli.doctor.examine import examine
    from facecli.cli.doctor.listing import diagnosis_row, diagnosis_text

    found = examine(gallery, key_file)
    print_report(diagnosis_row(found), diagnosis_text(found), as_json)
    if check and found.faults:
        raise typer.Exit(1)
