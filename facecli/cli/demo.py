"""`facecli demo`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from facecli.errors import UsageError


def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Where to leave photos and pictures.")
    ] = Path("facecli-demo"),
) -> None:
    """The whole job on two real portraits: enrol one, know her again, call the other unknown."""
    from facecli.demo import prepare

    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty: name another folder, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    photos = prepare(folder)
    gallery = ["--gallery", str(folder / "gallery.facecli")]
    typer.echo("Two portraits in the public domain: Grace Hopper and Eileen Collins.")
    _run("enrol the first", ["enroll", str(photos.known), *gallery])
    _run(
        "she again, in an altered shot: turned, darker, smaller, recompressed; and a stranger",
        ["identify", str(photos.again), str(photos.stranger), *gallery,
         "--annotate", str(folder / "pictures")],
    )  # fmt: skip
    _run("why this threshold", ["threshold", *gallery])
    typer.echo(f"\nLook at the pictures in {folder / 'pictures'}.")


def _run(what: str, arguments: list[str]) -> None:
    """Show the command a user would type, and run it."""
    from facecli.cli import app

    typer.echo(f"\n# {what}\n$ facecli {shlex.join(arguments)}")
    app(arguments, standalone_mode=False)
