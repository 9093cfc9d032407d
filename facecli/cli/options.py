"""Options that several commands share, and the way results and notes leave the program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from facecli.terms import Device

GalleryOption = Annotated[
    Path | None,
    typer.Option(
        "--gallery", "-g", envvar="FACECLI_GALLERY", metavar="FILE",
        help="The gallery file; by default one in your data folder.",
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
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def note(text: str, quiet: bool = False) -> None:
    """A line for people, on stderr."""
    if not quiet:
        typer.echo(f"facecli: {_shown(text)}", err=True)


def fail(error: Exception) -> None:
    """What went wrong, on stderr."""
    typer.echo(f"facecli: error: {_shown(str(error))}", err=True)


def _shown(text: str) -> str:
    from facecli.report import printable

    return "\n".join(printable(line) for line in text.split("\n"))


@contextmanager
def progress(total: int, quiet: bool) -> Iterator[Callable[[], object]]:
    """Call it once a photo: a progress bar on stderr, only on a terminal."""
    from tqdm import tqdm

    with tqdm(total=total, unit="photo", leave=False, disable=True if quiet else None) as bar:
        yield bar.update
