"""`facecli` itself: its commands by name, and how the program starts and ends."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, ClassVar, TextIO

import typer

from facecli.cli.groups import UNASKED, LazyGroup, help_without_command
from facecli.cli.options import INTERRUPTED, fail
from facecli.common.errors import FacecliError, OutputError, UsageError
from facecli.common.version import __version__

EPILOG = (
    "Exit codes: 0 answered ('unknown' included), 1 only with --check, 2 usage, 3 input, "
    "4 gallery, 5 model, 6 calibration, 74 output cannot be written, 130 interrupted, "
    "141 broken pipe."
)
PIPE_CLOSED = 141  # what shells say of a program that SIGPIPE ended: 128 + 13


class Commands(LazyGroup):
    """All commands. A module is imported when its command is called, or its line is shown."""

    homes: ClassVar[Mapping[str, str]] = {
        "enroll": "facecli.cli.enroll:enroll",
        "identify": "facecli.cli.identify:identify",
        "watch": "facecli.cli.watch:watch",
        "verify": "facecli.cli.verify:verify",
        "threshold": "facecli.cli.threshold:threshold",
        "evaluate": "facecli.cli.evaluate:evaluate",
        "train": "facecli.cli.train:app",
        "demo": "facecli.cli.demo:demo",
        "doctor": "facecli.cli.doctor.command:doctor",
        "group": "facecli.cli.group:app",
        "gallery": "facecli.cli.gallery:app",
        "models": "facecli.cli.models:app",
    }
    meant: ClassVar[Mapping[str, str]] = {
        **{name: f"gallery {name}" for name in (
            "list", "show", "info", "rename", "merge", "remove", "export", "import", "audit",
            "undo", "purge", "backup", "log", "encrypt", "decrypt", "re-embed", "copy",
        )},
        "ls": "gallery list", "delete": "gallery remove", "rm": "gallery remove",
        "erase": "gallery purge", "forget": "gallery purge", "repair": "gallery check --repair",
        "add": "enroll", "enrol": "enroll", "register": "enroll", "index": "enroll",
        "learn": "enroll", "init": "enroll", "create": "enroll", "new": "enroll",
        "find": "identify", "search": "identify", "recognize": "identify",
        "recognise": "identify", "who": "identify", "lookup": "identify", "predict": "identify",
        "annotate": "identify --annotate DIR", "detect": "identify --json",
        "cluster": "group", "sort": "group", "scan": "group", "dedupe": "group",
        "tag": "identify --write-tags PLACE", "camera": "watch", "webcam": "watch",
        "stream": "watch", "people": "gallery list", "faces": "gallery list",
        "unlock": "gallery decrypt", "finetune": "train", "fine-tune": "train",
        "completion": "--install-completion",
        "compare": "verify", "match": "verify", "same": "verify",
        "calibrate": "threshold --calibrate PAIRS", "tolerance": "threshold",
        "benchmark": "evaluate", "test": "evaluate", "check": "doctor", "status": "doctor",
        "pull": "models pull", "download": "models pull", "version": "--version",
    }  # fmt: skip


app = typer.Typer(
    cls=Commands,
    help="Who is in this picture? A name, or an honest unknown: offline, from one gallery file.",
    epilog=EPILOG,
    invoke_without_command=True,
    rich_markup_mode=None,  # costs 60 ms
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "default_map": {**UNASKED, "install_completion": False, "show_completion": False},
    },
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"facecli {__version__}")
        raise typer.Exit


@app.callback()
def facecli(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_version, is_eager=True, help="Show and exit."),
    ] = False,
) -> None:
    """What goes before a command."""
    help_without_command(ctx)


def run() -> None:
    """Run the command that sys.argv names, and exit: an error is one line on stderr and a code."""
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
        sys.exit(_code())
    finally:
        # Else Python looks through all that is left for garbage before it ends: a tenth of the
        # time of a short command.
        gc.freeze()


def _code() -> int:
    """Run the command; its exit code."""
    try:
        # Typer returns the code of an Exit, and 130 where Ctrl-C was pressed; commands return None.
        return app(standalone_mode=False) or 0
    except FacecliError as error:
        fail(str(error))
        return error.exit_code
    except typer.TyperException as error:
        fail(_usage(error))
        return UsageError.exit_code
    except typer.Abort:  # Ctrl-C or the end of stdin where a question was asked
        typer.echo(err=True)  # the line of the question ends
        return INTERRUPTED
    except OSError as error:
        if error.filename is not None:
            raise
        # Streams have no file name. What could not be written is not tried again at the end.
        _forget(sys.stdout)
        fail(f"stdout cannot be written: {error.strerror}")
        return OutputError.exit_code
    except SystemExit as end:
        # Typer ends with 1, which means something else here, when the reader of a pipe has gone.
        if isinstance(end.__context__, BrokenPipeError):
            return PIPE_CLOSED
        raise


def _forget(stream: TextIO) -> None:
    """What it still holds goes nowhere."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _usage(error: typer.TyperException) -> str:
    """What Typer says of words that it cannot take, on one line, and where to read more."""
    text = " ".join(line.strip() for line in error.format_message().split("\n"))
    context = getattr(error, "ctx", None)  # most know which command they are about
    command = context.command_path if context else "facecli"
    return f"{text[:1].lower()}{text[1:].rstrip('.')} (see `{command} --help`)"
