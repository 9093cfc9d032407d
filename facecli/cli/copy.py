"""`facecli gallery copy`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from facecli.cli.options import (
    JsonOption,
    KeyOption,
    QuietOption,
    bar,
    given_key,
    open_storage,
    print_report,
)
from facecli.cli.paths import Input


def copy(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="A gallery."), Input.GALLERY],
    target: Annotated[
        Path, typer.Argument(metavar="TO", help="A new one, or begun before."), Input.GALLERY
    ],
    key_file: KeyOption = None,
    to_key_file: Annotated[
        str | None,
        typer.Option("--to-key-file", metavar="FILE", help="The key of TO, where it has one."),
        Input.KEY,
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Copy a gallery whole, between a file and Milvus either way; run it again to go on.

    People, references, thresholds and embedder, compared at the end; not what could be undone,
    nor the audit log. Exit code 4 when the two are not the same.
    """
    from facecli.report.maintenance import copied_row, copied_text
    from facecli.storage import opening
    from facecli.storage.copying import copy as copy_whole

    with (
        open_storage(source, key_file) as here,
        bar(quiet, unit="reference", leave=False) as shown,
        closing(
            opening.create_storage(
                target, here.reader.embedder_id, here.reader.dimension, given_key(to_key_file),
                to_copy=True,
            )
        ) as there,
    ):  # fmt: skip
        done = copy_whole(here, there, shown.update)
    print_report(copied_row(done), copied_text(done), as_json)
