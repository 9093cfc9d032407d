"""`facecli gallery undo, purge, backup, check, log`: what is kept of people, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecli.cli.options import (
    DryRunOption,
    GalleryOption,
    JsonOption,
    KeyOption,
    YesOption,
    confirm,
    done,
    key,
)
from facecli.common.errors import GalleryError, UsageError

if TYPE_CHECKING:
    from facecli.gallery.gallery import Gallery
    from facecli.storage.interface import Erasure, Whom


def undo(
    change: Annotated[
        int | None, typer.Argument(metavar="CHANGE", help="Its number; by default the newest.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Show what can be undone.")] = False,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take back a rename, merge or removal, the newest first, until `purge`.

    Exit code 4 when it cannot be undone: its name was enrolled again, or a later change came on
    top.
    """
    from facecli.report import custody, formats

    with _open(gallery, key_file) as opened, opened.rehearsal(dry_run):
        if show:
            rows = [custody.change_row(found) for found in opened.changes()]
            typer.echo(formats.as_json(rows) if as_json else custody.changes_table(rows))
            return
        row = custody.change_row(opened.undo(change))
    if as_json:
        typer.echo(formats.as_json({**row, "dry_run": dry_run}))
    else:
        done(f"undone: {custody.change_text(row)}", dry_run)


def purge(
    subject: Annotated[
        str | None, typer.Argument(metavar="SUBJECT", help="Enrolled or removed.")
    ] = None,
    removed: Annotated[
        bool, typer.Option("--removed", help="All removed people and faces, and former names.")
    ] = False,
    all_: Annotated[bool, typer.Option("--all", help="Everybody; the gallery stays, empty.")] = (
        False
    ),
    receipt: Annotated[
        Path | None,
        typer.Option("--receipt", metavar="FILE", help="Write what was done as JSON, no names."),
    ] = None,
    names: Annotated[bool, typer.Option("--names", help="With names in the receipt.")] = False,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Erase people for good: templates, names, paths, derived files. There is no way back.

    Then every byte of the gallery's files is searched for them. Exit code 4 when some are left.
    Backups, exports and what the disk keeps by itself are yours to erase. The audit log stays: it
    holds no faces and no names.
    """
    from facecli.report import custody, formats

    if [subject is not None, removed, all_].count(True) != 1:
        raise UsageError("name a SUBJECT to erase, or choose one of --removed and --all")
    if names and receipt is None:
        raise UsageError("--names goes with --receipt")
    with _open(gallery, key_file) as opened:
        planned = custody.doomed_text(opened.doomed(_whom(subject, all_)))
        if dry_run:
            done(f"would erase {planned}", dry_run)
            return
        if not yes:
            confirm(formats.printable(f"erase {planned} for good?"))
        result = _erase(opened, subject, all_)
        if receipt is not None:
            opened.write_receipt(result, receipt, names=names)
    row = custody.erasure_row(result)
    typer.echo(formats.as_json(row) if as_json else custody.erasure_text(result))
    if result.failed:
        raise typer.Exit(GalleryError.exit_code)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; 0600.")],
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
) -> None:
    """Copy the gallery as it is now, checked, while others may use it. It is biometric data."""
    from facecli.report.formats import printable

    with _open(gallery, key_file) as opened:
        size = opened.backup(file, replace=force)
    typer.echo(printable(f"wrote {size / 1e6:.1f} MB to {file}, sound"))


def check(
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended, after a copy.")
    ] = False,
    drop_orphans: Annotated[
        bool,
        typer.Option(
            "--drop-orphans",
            help="With --repair: delete references of nobody, and subjects without a reference.",
        ),
    ] = False,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Look the whole gallery over: file, vectors, index, log. Exit code 4 when something is wrong.

    --repair works templates and indices out anew and sets references without a template aside,
    for `undo`. Where the file itself is damaged, what can be read goes to a new one.
    """
    from facecli.gallery.gallery import default_path
    from facecli.report import custody, people
    from facecli.storage import opening
    from facecli.storage.maintenance.repair import repair as mend

    if not repair and (drop_orphans or dry_run):
        raise UsageError("--drop-orphans and --dry-run go with --repair")
    if repair:
        result = mend(
            opening.file_path(gallery or default_path(), "repair"),
            key=key(key_file), drop_orphans=drop_orphans, dry_run=dry_run,
        )  # fmt: skip
        done(custody.repair_text(result), dry_run)
        if not result.sound:
            raise typer.Exit(GalleryError.exit_code)
        return
    with _open(gallery, key_file) as opened:
        if faults := opened.check():
            raise GalleryError("the gallery is damaged:" + "".join(f"\n  {f}" for f in faults))
        typer.echo("sound: " + people.people(opened.info()))


def log(
    on: Annotated[
        bool | None, typer.Option("--on/--off", help="From now on; what it holds stays.")
    ] = None,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Who was enrolled, removed, searched: keyed hashes, no faces, no names. Off by default.

    Entries are only ever added; `check` sees one changed or missing. `purge` keeps them.
    """
    from facecli.report import custody, formats

    with _open(gallery, key_file) as opened, opened.rehearsal(dry_run):
        if on is not None:
            opened.keep_log(on)
            done(f"the audit log is {'on' if on else 'off'}", dry_run)
            return
        rows = [custody.log_row(entry) for entry in opened.log()]
    typer.echo(formats.as_json(rows) if as_json else custody.log_table(rows))


COMMANDS = (undo, purge, backup, check, log)


def _open(path: Path | None, key_file: str | None) -> Gallery:
    from facecli.gallery.gallery import Gallery

    return Gallery.open(path, key=key(key_file))


def _whom(subject: str | None, everybody: bool) -> Whom:
    from facecli.storage.interface import Called, Group

    if subject is not None:
        return Called(subject)
    return Group.EVERYBODY if everybody else Group.REMOVED


def _erase(opened: Gallery, subject: str | None, everybody: bool) -> Erasure:
    if subject is not None:
        return opened.purge(subject)
    return opened.purge_all() if everybody else opened.purge_removed()
