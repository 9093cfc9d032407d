"""`facecli gallery audit`."""

from __future__ import annotations

from typing import Annotated

import typer

from facecli.cli.options import (
    ForceOption,
    GalleryOption,
    JsonOption,
    KeyOption,
    ModelOption,
    ReportOption,
    at_most_one,
    goes_with,
    note,
    open_gallery,
    print_beside,
    terminal,
)
from facecli.common.outputs import STDOUT


def audit(
    top: Annotated[
        int, typer.Option("--top", min=1, metavar="K", help="Show the K most certain.")
    ] = 60,
    page: ReportOption = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Print commands that would mend it; runs none.")
    ] = False,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    model: ModelOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """What is probably wrong: wrong labels, two names of one person, poor photos.

    The most certain first. Nothing is changed.
    """
    from facecli.report.audit import audit_row, audit_text, proposals

    at_most_one({"--fix": fix, "--json": as_json, "--report -": page == STDOUT})
    goes_with("--force", force, {"--report FILE": page})
    if page is not None:
        # Here, so that a missing extra shows before the work is done.
        from facecli.report.audit_page import audit_page
        from facecli.report.html import save
    with open_gallery(gallery, key_file, model) as opened:
        found = opened.audit()
    html = "" if page is None else audit_page(found, top)
    if page is not None and page != STDOUT:
        save(html, page, force=force)
        note(f"wrote {page}; it holds photos of people")
    if fix:
        typer.echo(proposals(found, top, gallery))
    else:
        beside = html if page == STDOUT else ""
        print_beside(beside, audit_row(found, top), audit_text(found, top, terminal()), as_json)
