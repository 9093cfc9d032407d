"""`facecli demo`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Where to leave photos and pictures.")
    ] = Path("facecli-demo"),
) -> None:
    """The whole job on two real portraits: enrol one, know her again, call the other unknown.

    Needs the photos of `pip install 'facecli[demo]'`. Run it again to start over.
    """
    from facecli.cli.demo_run import prepare

    photos = prepare(folder)
    gallery = ["--gallery", str(photos.gallery)]
    typer.echo(f"Two public-domain portraits, in {folder}: Grace Hopper, to be enrolled, and")
    typer.echo("Eileen Collins, a stranger. The commands below are those that you would type.")
    _run("Enrol Grace Hopper from one photo.", ["enroll", str(photos.known), *gallery])
    _run(
        "Who is it? Hopper in another shot (turned, darker, smaller, recompressed), and Collins.",
        ["identify", str(photos.again), str(photos.stranger), *gallery,
         "--annotate", str(photos.pictures)],
    )  # fmt: skip
    _run("Where the threshold comes from.", ["threshold", *gallery])
    typer.echo(f"\nLook at the pictures in {photos.pictures}: a box and an answer on every face.")
    typer.echo("Next, your own photos, a folder per person: facecli enroll FOLDER")


def _run(what: str, arguments: list[str]) -> None:
    """Show the command a user would type, and run it here.

    Everything goes through `typer.echo`, which flushes: stdout and stderr stay in order in a pipe.
    """
    from facecli.cli import app

    typer.echo(f"\n# {what}\n$ facecli {shlex.join(arguments)}")
    app(arguments, standalone_mode=False)
