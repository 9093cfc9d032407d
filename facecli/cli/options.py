"""Options that several commands share, and the way results and notes leave the program."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facecli.cli.paths import Input, Output
from facecli.common.enums import DetectorName, Device
from facecli.common.errors import UsageError

if TYPE_CHECKING:
    from facecli.gallery.gallery import Gallery
    from facecli.report.columns import Terminal
    from facecli.report.formats import OutputFormat
    from facecli.storage.interface import Storage
    from facecli.storage.keys import Key
    from facecli.storage.sqlite.store import GalleryFile

MOST_PAIRS = 5  # of people who look alike, that are named
NARROW = 80  # columns, of a terminal that does not say
INTERRUPTED = 130  # what shells say of a program that SIGINT ended: 128 + 2

GalleryOption = Annotated[
    Path | None,
    typer.Option(
        "--gallery", "-g", envvar="FACECLI_GALLERY", metavar="FILE",
        help="The gallery file; by default one in your data folder.",
    ),
    Input.GALLERY,
]  # fmt: skip
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key-file", envvar="FACECLI_KEY_FILE", metavar="FILE",
        help="An encrypted gallery's key: a file, or `keyring`.",
    ),
    Input.KEY,
]  # fmt: skip
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", envvar="FACECLI_MODEL", metavar="NAME",
        help="The embedder; by default the gallery's own. See `facecli models list`.",
    ),
]  # fmt: skip
DeviceOption = Annotated[
    Device,
    typer.Option("--device", envvar="FACECLI_DEVICE", help="Where the embedder runs."),
]
DetectorOption = Annotated[
    DetectorName,
    typer.Option(
        "--detector", help="What runs the face detector: opencv finds the same faces, slower."
    ),
]
ThresholdOption = Annotated[
    float | None, typer.Option("--threshold", metavar="T", help="A cosine, this time only.")
]
QualityOption = Annotated[
    float | None,
    typer.Option(
        "--min-quality", min=0, max=1, metavar="Q",
        help="What faces must reach, 0 to 1; 0.55 by default, 0 takes any.",
    ),
]  # fmt: skip
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, metavar="N", help="Threads; by default one a processor."),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no notes on stderr.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
ReportOption = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Write a self-contained HTML page; - is stdout."),
    Output(stdout=True),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, change nothing.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace what is there, if it is of the same kind.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def at_most_one(options: Mapping[str, object]) -> None:
    """Of these, by name, one may be given. Raises UsageError."""
    if sum(map(_given, options.values())) > 1:
        raise UsageError(f"choose one of {_listed(list(options), 'and')}")


def goes_with(option: str, value: object, others: Mapping[str, object], why: str = "") -> None:
    """Without any of the others the option means nothing. Raises UsageError."""
    if _given(value) and not any(map(_given, others.values())):
        raise UsageError(f"{option} goes with {_listed(list(others), 'or')}{why}")


def _given(value: object) -> bool:
    return value is not None and value is not False


def _listed(names: list[str], last: str) -> str:
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def given_key(source: str | None) -> Key | None:
    """The key that --key-file names."""
    from facecli.storage.keys import read_key

    return None if source is None else read_key(source)


def open_gallery(
    path: Path | None,
    key_file: str | None,
    model: str | None = None,
    device: Device = Device.AUTO,
    detector: DetectorName = DetectorName.YUNET,
) -> Gallery:
    """The gallery that the options of these names describe, for a `with` block."""
    from facecli.gallery.gallery import Gallery

    return Gallery.open(
        path, model=model, device=device, detector=detector, key=given_key(key_file)
    )


@contextmanager
def open_storage(
    gallery: Path | None, key_file: str | None, dry_run: bool = False
) -> Iterator[Storage]:
    """A gallery without its models. dry_run: whatever is changed is taken back at the end."""
    from facecli.common.places import default_gallery
    from facecli.storage import opening

    path = gallery or default_gallery()
    with (
        closing(opening.open_storage(path, given_key(key_file))) as storage,
        storage.rehearsal() if dry_run else nullcontext(),
    ):
        yield storage


@contextmanager
def open_file(
    what: str, gallery: Path | None, key_file: str | None, dry_run: bool = False
) -> Iterator[GalleryFile]:
    """The same for what only files have, and Milvus has not: `what` names it there."""
    from facecli.storage import opening

    with open_storage(gallery, key_file, dry_run) as storage:
        yield opening.file_of(storage, what)


@contextmanager
def scratch(gallery: Path | None, dry_run: bool, key: Key | None = None) -> Iterator[Path | None]:
    """The gallery to open: for a dry run a temporary one where there is none yet."""
    from tempfile import TemporaryDirectory

    from facecli.common.places import default_gallery
    from facecli.storage import opening

    path = gallery or default_gallery()
    if not dry_run or opening.present(path, key):
        yield gallery
    else:
        with TemporaryDirectory(prefix="facecli-") as folder:
            yield Path(folder) / "gallery"


@contextmanager
def open_to_add(
    path: Path | None,
    key_file: str | None,
    dry_run: bool,
    model: str | None,
    device: Device = Device.AUTO,
    detector: DetectorName = DetectorName.YUNET,
) -> Iterator[Gallery]:
    """The same, made where there is none; see `scratch` for a dry run."""
    from facecli.gallery.gallery import Gallery

    secret = given_key(key_file)
    with (
        scratch(path, dry_run, secret) as where,
        Gallery.open(
            where, model=model, device=device, detector=detector, create=True, key=secret
        ) as opened,
    ):
        yield opened


def quality_bar(given: float | None) -> float:
    """What --min-quality asks for."""
    from facecli.recognition.quality import DEFAULT_BAR

    return DEFAULT_BAR if given is None else given


def output_format(
    as_json: bool, as_jsonl: bool, as_csv: bool, output: Path | None = None
) -> OutputFormat:
    """What the options of these names ask for, else the name of the file that is written.

    Raises UsageError for more than one.
    """
    from facecli.report.formats import OutputFormat

    at_most_one({"--json": as_json, "--jsonl": as_jsonl, "--csv": as_csv})
    if as_json:
        return OutputFormat.JSON
    if as_jsonl:
        return OutputFormat.JSON_LINES
    if as_csv or output is None:
        return OutputFormat.CSV if as_csv else OutputFormat.TABLE
    by_suffix = {
        ".csv": OutputFormat.CSV, ".json": OutputFormat.JSON, ".jsonl": OutputFormat.JSON_LINES,
    }  # fmt: skip
    return by_suffix.get(output.suffix.lower(), OutputFormat.TABLE)


def terminal() -> Terminal:
    """What stdout is. Of a terminal COLUMNS goes before its own width, and NO_COLOR
    (no-color.org) is heard; a file or pipe has no width, whatever COLUMNS says of the terminal.
    """
    from facecli.report.columns import Terminal

    is_one = sys.stdout is not None and sys.stdout.isatty()
    width = None
    if is_one:
        asked = os.environ.get("COLUMNS", "")
        own = os.get_terminal_size(sys.stdout.fileno()).columns
        width = int(asked) if asked.isdecimal() and int(asked) else own or NARROW
    colour = is_one and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Terminal(width, colour)


def say_look_alikes(gallery: Gallery, quiet: bool, among: Collection[str] | None = None) -> None:
    """Name the pairs that may be one person. among: pairs with one of these; None for all."""
    found = [
        pair for pair in gallery.look_alikes()
        if among is None or pair.first in among or pair.second in among
    ]  # fmt: skip
    for pair in found[:MOST_PAIRS]:
        note(
            f"{pair.first} and {pair.second} look like one person, {pair.score:.3f}: if they are, "
            f"`facecli gallery merge`; if they are two, `facecli gallery distinct`",
            quiet,
        )
    if len(found) > MOST_PAIRS:
        more = len(found) - MOST_PAIRS
        note(f"and {more} more pairs: `facecli gallery audit` names them", quiet)


def print_report(row: object, text: str, as_json: bool) -> None:
    """A report on stdout: `row` as one JSON document, or `text` for people."""
    from facecli.report import formats

    typer.echo(formats.as_json(row) if as_json else text)


def print_beside(stdout: str, row: object, text: str, as_json: bool) -> None:
    """An output that goes to stdout, and the report of it to stderr, for people.

    stdout: empty where no output goes there; then the report does.
    """
    if not stdout:
        print_report(row, text, as_json)
        return
    typer.echo(stdout)
    typer.echo(text, err=True)


def note(text: str, quiet: bool = False) -> None:
    """A line for people, on stderr, which may be full: then it is lost, and the answer is not."""
    if not quiet:
        try:
            typer.echo(f"facecli: {_shown(text)}", err=True)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise


def confirm(question: str) -> None:
    """Go on where a person says yes. Raises UsageError where there is nobody to ask."""
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Say so with --yes.")
    if not typer.confirm(question, err=True):
        note("nothing was changed")
        raise typer.Exit(UsageError.exit_code)


def done(text: str, dry_run: bool) -> None:
    """What was changed, on stdout, or would be."""
    typer.echo(("dry run, nothing was changed: " if dry_run else "") + _shown(text))


def print_change(row: Mapping[str, object], text: str, dry_run: bool, as_json: bool) -> None:
    """The same as a report: `row` as one JSON document that says so, or `text` for people."""
    if as_json:
        print_report({**row, "dry_run": dry_run}, text, as_json)
    else:
        done(text, dry_run)


def fail(text: str) -> None:
    """What went wrong, on stderr."""
    note(f"error: {text}")


def _shown(text: str) -> str:
    from facecli.report.formats import printable

    return "\n".join(printable(line) for line in text.split("\n"))


@contextmanager
def resumable(text: str | Callable[[], str]) -> Iterator[None]:
    """Ctrl-C in here ends the command with `interrupted; TEXT`: nothing done so far is lost.

    text: what to do then; called where it hangs on how far the command came.
    """
    try:
        yield
    except KeyboardInterrupt:
        note(f"interrupted; {text if isinstance(text, str) else text()}")
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def progress(total: int | None, quiet: bool) -> Iterator[Callable[[], object]]:
    """Call it once a photo: a progress bar on stderr, only on a terminal."""
    with bar(quiet, total=total, unit="photo", leave=False) as shown:
        yield shown.update


def bar(quiet: bool, **options: Any) -> Any:
    """A progress bar of tqdm on stderr, only on a terminal. options: tqdm's."""
    from tqdm import tqdm

    shown = not quiet and sys.stderr is not None and sys.stderr.isatty()
    if shown and os.get_terminal_size(sys.stderr.fileno()).columns == 0:
        options |= {"ncols": NARROW, "nrows": 24}  # where tqdm would draw nothing
    return tqdm(disable=not shown, file=sys.stderr, **options)
