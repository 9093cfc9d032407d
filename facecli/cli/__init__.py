"""The command line: arguments, streams and exit codes. Each command calls one library verb.

A command's module is imported when it is called, and heavy modules inside the commands' bodies,
so that `--help` is instant.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Annotated

import typer

from facecli.cli.lean import App
from facecli.cli.options import fail
from facecli.common.errors import FacecliError
from facecli.common.version import __version__

EPILOG = (
    "Exit codes: 0 answered ('unknown' included), 1 only with --check, 2 usage, 3 input, "
    "4 gallery, 5 model, 6 calibration, 130 interrupted, 141 broken pipe."
)
PIPE_CLOSED = 141  # what shells say of a program that SIGPIPE ended: 128 + 13

app = App(
    "facecli",
    help="Who is in this picture? A name, or an honest unknown: offline, from one gallery file.",
    epilog=EPILOG,
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
    """What goes before a command."""


for name in ("enroll", "identify", "verify", "threshold", "evaluate", "demo"):
    app.add(name, f"facecli.cli.{name}", name)
app.add("doctor", "facecli.cli.doctor.command", "doctor")
for name in ("gallery", "models"):
    app.add(name, f"facecli.cli.{name}", "app")


def main() -> None:
    """Run the command; a FacecliError is one line on stderr and its exit code."""
    if sys.getfilesystemencoding() != "utf-8":
        # Names and paths would be others than under another locale: begin again without it.
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    # numpy's BLAS starts its threads at import; photos are what runs in parallel here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # What imports make stays: looking for garbage among it takes 5 % of a short command's time.
    gc.set_threshold(100_000)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # Names come in every script and file names in any bytes, whatever the locale.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        app()
    except FacecliError as error:
        fail(error)
        sys.exit(error.exit_code)
    except SystemExit as end:
        # Typer ends with 1, which means something else here, when the reader of a pipe has gone.
        if isinstance(end.__context__, BrokenPipeError):
            sys.exit(PIPE_CLOSED)
        raise
    finally:
        # Else Python looks through all that is left for garbage before it ends: a tenth of the
        # time of a short command.
        gc.freeze()
