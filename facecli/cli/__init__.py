"""The command line: arguments, streams and exit codes. Each command calls one library verb.

Heavy imports stand inside the command bodies, so that `--help` is instant.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from facecli import __version__
from facecli.cli import gallery, models
from facecli.cli.demo import demo
from facecli.cli.enroll import enroll
from facecli.cli.evaluate import evaluate
from facecli.cli.identify import identify
from facecli.cli.options import fail
from facecli.cli.threshold import threshold
from facecli.cli.verify import verify
from facecli.errors import FacecliError

EPILOG = (
    "Exit codes: 0 answered ('unknown' included), 1 only with --check, 2 usage, 3 input, "
    "4 gallery, 5 model, 6 calibration, 130 interrupted."
)

app = typer.Typer(
    name="facecli",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"facecli {__version__}")
        raise typer.Exit


@app.callback()
def facecli(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show and exit.")
    ] = False,
) -> None:
    """Who is in this picture? A name, or an honest unknown: offline, from one gallery file."""


for command in (enroll, identify, verify, threshold, evaluate, demo):
    app.command()(command)
app.add_typer(gallery.app)
app.add_typer(models.app)


def main() -> None:
    """Run the command; a FacecliError is one line on stderr and its exit code."""
    # numpy's BLAS starts its threads at import; photos are what runs in parallel here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # Names come in every script and file names in any bytes, whatever the locale.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        app()
    except FacecliError as error:
        fail(error)
        sys.exit(error.exit_code)
