"""`facecli gallery audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facecli.cli.options import (
    GalleryOption,
    JsonOption,
    KeyOption,
    ModelOption,
    at_most_one,
    note,
    open_gallery,
    print_report,
)
from facecli.common.errors import InputError


def audit(
    top: Annotated[
        int, typer.Option("--top", min=1, metavar="K", help="Show the K most certain.")
    ] = 60,
    page: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write an HTML page with the faces."),
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Print commands that would mend it; runs none.")
    ] = False,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """What is probably wrong: wrong labels, two names of one person, poor photos.

    The most certain first. Nothing is changed.
    """
    from facecli.report.audit import audit_page, audit_row, audit_text, proposals

    at_most_one({"--fix": fix, "--json": as_json})
    with open_gallery(gallery, key_file, model) as opened:
        found = opened.audit()
    if page is not None:
        from facecli.report.html import save

        html = audit_page(found, top)
        try:
            save(html, page)
        except OSError as error:
            raise InputError(f"{page} cannot be written: {error.strerror}") from error
        note(f"wrote {page}; it holds photos of people")
    if fix:
        typer.echo(proposals(found, top, gallery))
    else:
        print_report(audit_row(found, top), audit_text(found, top), as_json)
