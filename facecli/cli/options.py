"""Options that several commands share, and the way results and notes leave the program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecli.common.enums import DetectorName, Device
from facecli.common.errors import UsageError

if TYPE_CHECKING:
    from facecli.storage.keys import Key

GalleryOption = Annotated[
    Path | None,
    typer.Option(
        "--gallery", "-g", envvar="FACECLI_GALLERY", metavar="FILE",
        help="The gallery file; by default one in your data folder.",
    ),
]  # fmt: skip
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key-file", envvar="FACECLI_KEY_FILE", metavar="FILE",
        help="An encrypted gallery's key: a file, or `keyring`.",
    ),
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
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, change nothing.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def key(source: str | None) -> Key | None:
    """The key that --key-file names."""
    from facecli.storage.keys import read

    return None if source is None else read(source)


def note(text: str, quiet: bool = False) -> None:
    """A line for people, on stderr."""
    if not quiet:
        typer.echo(f"facecli: {_shown(text)}", err=True)


@contextmanager
def scratch(gallery: Path | None, dry_run: bool, key: Key | None = None) -> Iterator[Path | None]:
    """The gallery to open: for a dry run a temporary one where there is none yet."""
    from tempfile import TemporaryDirectory

    from facecli.gallery.gallery import default_path
    from facecli.storage import opening

    path = gallery or default_path()
    if not dry_run or opening.present(path, key):
        yield gallery
    else:
        with TemporaryDirectory(prefix="facecli-") as folder:
            yield Path(folder) / "gallery"


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


def fail(error: Exception) -> None:
    """What went wrong, on stderr."""
    typer.echo(f"facecli: error: {_shown(str(error))}", err=True)


def _shown(text: str) -> str:
    from facecli.report.formats import printable

    return "\n".join(printable(line) for line in text.split("\n"))


@contextmanager
def progress(total: int, quiet: bool) -> Iterator[Callable[[], object]]:
    """Call it once a photo: a progress bar on stderr, only on a terminal."""
    from tqdm import tqdm

    with tqdm(total=total, unit="photo", leave=False, disable=True if quiet else None) as bar:
        yield bar.update
