"""`facecli gallery ...`: who is enrolled, and keeping it in order."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecli.cli.audit import audit
from facecli.cli.options import GalleryOption, JsonOption, ModelOption, YesOption, note
from facecli.errors import GalleryError, UsageError

if TYPE_CHECKING:
    from facecli.gallery import Gallery

app = typer.Typer(
    name="gallery", no_args_is_help=True, rich_markup_mode=None,
    help="Who is enrolled, and keeping it in order.",
)  # fmt: skip

Subject = Annotated[str, typer.Argument(metavar="SUBJECT")]

app.command()(audit)


def _open(path: Path | None, model: str | None = None) -> Gallery:
    from facecli.gallery import Gallery

    return Gallery.open(path, model=model)


@app.command()
def info(gallery: GalleryOption = None, as_json: JsonOption = False) -> None:
    """Counts, embedder and operating point."""
    from facecli import report

    with _open(gallery) as opened:
        found = opened.info()
    typer.echo(report.as_json(report.info_row(found)) if as_json else report.info_text(found))


@app.command("list")
def list_(gallery: GalleryOption = None, as_json: JsonOption = False) -> None:
    """Everyone enrolled."""
    from facecli import report

    with _open(gallery) as opened:
        rows = [report.subject_row(s) for s in opened.subjects()]
    if as_json:
        typer.echo(report.as_json(rows))
    else:
        typer.echo(report.subjects_table(rows))


@app.command()
def show(subject: Subject, gallery: GalleryOption = None, as_json: JsonOption = False) -> None:
    """One subject's references: photo, box, quality, when."""
    from facecli import report

    with _open(gallery) as opened:
        rows = [report.reference_row(r) for r in opened.references(subject)]
    if as_json:
        typer.echo(report.as_json(rows))
    else:
        typer.echo(report.references_table(rows))


@app.command()
def rename(
    subject: Subject,
    name: Annotated[str, typer.Argument(metavar="NEW_NAME")],
    gallery: GalleryOption = None,
) -> None:
    """Give a subject another name; its references stay."""
    from facecli.report import printable

    with _open(gallery) as opened:
        opened.rename(subject, name)
    typer.echo(printable(f"renamed {subject} to {name}"))


@app.command()
def merge(
    subject: Subject,
    into: Annotated[str, typer.Argument(metavar="INTO")],
    gallery: GalleryOption = None,
) -> None:
    """Make two subjects one: SUBJECT's references become INTO's."""
    from facecli.report import counted, printable

    with _open(gallery) as opened:
        moved = opened.merge(subject, into)
    typer.echo(printable(f"moved {counted(moved, 'reference')} from {subject} to {into}"))


@app.command()
def remove(
    subject: Subject,
    reference: Annotated[
        int | None,
        typer.Option("--reference", metavar="ID", help="Only this one; see `gallery show`."),
    ] = None,
    gallery: GalleryOption = None,
    yes: YesOption = False,
) -> None:
    """Delete a subject with all references and templates, or one. There is no way back."""
    from facecli.report import counted, printable

    with _open(gallery) as opened:
        count = len(opened.references(subject))
        whole = f"{subject} and {counted(count, 'reference')}"
        what = whole if reference is None else f"reference {reference} of {subject}"
        if not yes:
            _confirm(printable(f"delete {what} for good?"))
        if reference is None:
            opened.remove(subject)
        elif not opened.remove_reference(subject, reference):
            what += ", the last one: the subject is gone"
    typer.echo(printable(f"removed {what}"))


@app.command()
def check(gallery: GalleryOption = None) -> None:
    """Look the whole gallery over: file, vectors, index. Exit code 4 when something is wrong."""
    from facecli import report

    with _open(gallery) as opened:
        if faults := opened.check():
            raise GalleryError("the gallery is damaged:" + "".join(f"\n  {f}" for f in faults))
        typer.echo("sound: " + report.people(opened.info()))


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON Lines; 0600.")],
    gallery: GalleryOption = None,
) -> None:
    """Write every reference, templates included, to a portable file. It is biometric data."""
    from facecli.report import counted, printable

    with _open(gallery) as opened:
        count = opened.export(file)
    typer.echo(printable(f"wrote {counted(count, 'reference')} to {file}"))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Made by `gallery export`.")],
    gallery: GalleryOption = None,
    model: ModelOption = None,
) -> None:
    """Add what another gallery exported; a damaged file is refused whole."""
    from facecli.gallery import Gallery
    from facecli.report import counted

    with Gallery.open(gallery, model=model, create=True) as opened:
        result = opened.import_(file)
    typer.echo(f"imported {counted(result, 'new reference')}")


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Say so with --yes.")
    if not typer.confirm(question, err=True):
        note("nothing was changed")
        raise typer.Exit(2)
