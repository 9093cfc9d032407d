"""`facecli gallery undo, purge, backup, check, log`: what is kept of people, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecli.cli.options import (
    DryRunOption,
    ForceOption,
    GalleryOption,
    JsonOption,
    KeyOption,
    YesOption,
    at_most_one,
    confirm,
    done,
    given_key,
    goes_with,
    open_file,
    open_storage,
    print_beside,
    print_change,
    print_report,
    terminal,
)
from facecli.cli.paths import Output
from facecli.common.errors import GalleryError, UsageError
from facecli.common.outputs import STDOUT

if TYPE_CHECKING:
    from facecli.storage.interface import Whom


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
    """Take back a rename, merge, removal, threshold or `distinct`, the newest first, until `purge`.

    Exit code 4 when it cannot be undone: its name was enrolled again, or a later change came on
    top.
    """
    from facecli.report import maintenance

    with open_file("undo", gallery, key_file, dry_run) as file:
        if show:
            rows = [maintenance.change_row(found) for found in file.journal.changes()]
            print_report(rows, maintenance.changes_table(rows, terminal()), as_json)
            return
        row = maintenance.change_row(file.journal.undo(change))
    print_change(row, f"undone: {maintenance.change_text(row)}", dry_run, as_json)


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
        typer.Option(
            "--receipt",
            metavar="FILE",
            help="Write what was done as JSON, no names; - is stdout.",
        ),
        Output(stdout=True),
    ] = None,
    names: Annotated[bool, typer.Option("--names", help="With names in the receipt.")] = False,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Erase people for good: templates, names, paths, derived files. There is no way back.

    Then every byte of the gallery's files is searched for them. Exit code 4 when some are left.
    Backups, exports and what the disk keeps by itself are yours to erase. The audit log stays: it
    holds no faces and no names.
    """
    from facecli.report import formats, maintenance
    from facecli.storage.receipt import receipt_text, write_receipt

    if [subject is not None, removed, all_].count(True) != 1:
        raise UsageError("name a SUBJECT to erase, or choose one of --removed and --all")
    if names and receipt is None:
        raise UsageError("--names goes with --receipt")
    at_most_one({"--json": as_json, "--receipt -": receipt == STDOUT})
    goes_with("--force", force, {"--receipt FILE": receipt})
    whom = _whom(subject, all_)
    with open_storage(gallery, key_file) as storage:
        planned = maintenance.doomed_text(storage.doomed(whom))
        if dry_run:
            done(f"would erase {planned}", dry_run)
            return
        if not yes:
            confirm(formats.printable(f"erase {planned} for good?"))
        result = storage.erase(whom)
        beside = receipt_text(storage.reader, result, names) if receipt == STDOUT else ""
        if receipt is not None and receipt != STDOUT:
            write_receipt(storage.reader, result, receipt, names, force=force)
    row, text = maintenance.erasure_row(result), maintenance.erasure_text(result)
    print_beside(beside, row, text, as_json)
    if result.failed:
        raise typer.Exit(GalleryError.exit_code)


def backup(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A new file; 0600."), Output(judged=True)
    ],
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an earlier backup of this gallery.")
    ] = False,
) -> None:
    """Copy the gallery as it is now, checked, while others may use it. It is biometric data.

    Groups of unnamed faces are copied, too, to FILE.groups.
    """
    from facecli.report.formats import printable
    from facecli.storage.maintenance.backup import backup as copy_whole

    with open_file("backups", gallery, key_file) as opened:
        written = copy_whole(opened, file, replace=force)
    files = " and ".join(f"{one.stat().st_size / 1e6:.1f} MB to {one}" for one in written)
    typer.echo(printable(f"wrote {files}, sound"))


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
    from facecli.common.places import default_gallery
    from facecli.report import formats, maintenance, people
    from facecli.storage import opening
    from facecli.storage.maintenance.repair import repair as mend

    if not repair and (drop_orphans or dry_run):
        raise UsageError("--drop-orphans and --dry-run go with --repair")
    if repair:
        result = mend(
            opening.file_path(gallery or default_gallery(), "repair"),
            key=given_key(key_file), drop_orphans=drop_orphans, dry_run=dry_run,
        )  # fmt: skip
        done(maintenance.repair_text(result), dry_run)
        if not result.sound:
            raise typer.Exit(GalleryError.exit_code)
        return
    with open_storage(gallery, key_file) as storage:
        if faults := opening.faults(storage):
            raise GalleryError("the gallery is damaged:" + "".join(f"\n  {f}" for f in faults))
        typer.echo("sound: " + people.people(*storage.reader.counts()))
        for left in opening.unfinished(storage):
            typer.echo(formats.printable(left))


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
    from facecli.report import maintenance

    with open_file("audit log", gallery, key_file, dry_run) as file:
        if on is not None:
            file.audit_log.turn(on)
            done(f"the audit log is {'on' if on else 'off'}", dry_run)
            return
        rows = [maintenance.log_row(entry) for entry in file.audit_log.entries()]
    print_report(rows, maintenance.log_table(rows, terminal()), as_json)


def _whom(subject: str | None, everybody: bool) -> Whom:
    from facecli.storage.interface import Called, Group

    if subject is not None:
        return Called(subject)
    return Group.EVERYBODY if everybody else Group.REMOVED
