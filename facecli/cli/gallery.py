"""`facecli gallery ...`: who is enrolled, and keeping it in order."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from facecli.cli.groups import LazyGroup, make_group
from facecli.cli.options import (
    DryRunOption,
    ForceOption,
    GalleryOption,
    JsonOption,
    KeyOption,
    ModelOption,
    done,
    goes_with,
    open_gallery,
    open_storage,
    open_to_add,
    print_change,
    print_report,
    terminal,
)
from facecli.cli.paths import Input, Output
from facecli.common.errors import UsageError
from facecli.common.outputs import STDOUT


class GalleryCommands(LazyGroup):
    """Those below, and of other modules what is done to a gallery as a whole."""

    homes: ClassVar[Mapping[str, str]] = {
        "audit": "facecli.cli.audit:audit",
        "info": "facecli.cli.gallery:info",
        "list": "facecli.cli.gallery:list_",
        "show": "facecli.cli.gallery:show",
        "rename": "facecli.cli.gallery:rename",
        "merge": "facecli.cli.gallery:merge",
        "distinct": "facecli.cli.gallery:distinct",
        "remove": "facecli.cli.gallery:remove",
        "export": "facecli.cli.gallery:export",
        "import": "facecli.cli.gallery:import_",
        "key": "facecli.cli.encryption:make_key",
        "copy": "facecli.cli.copy:copy",
        "re-embed": "facecli.cli.re_embed:re_embed",
        "undo": "facecli.cli.maintenance:undo",
        "purge": "facecli.cli.maintenance:purge",
        "backup": "facecli.cli.maintenance:backup",
        "check": "facecli.cli.maintenance:check",
        "log": "facecli.cli.maintenance:log",
        "encrypt": "facecli.cli.encryption:encrypt",
        "decrypt": "facecli.cli.encryption:decrypt",
    }
    meant: ClassVar[Mapping[str, str]] = {
        "delete": "gallery remove", "rm": "gallery remove", "del": "gallery remove",
        "drop": "gallery remove", "erase": "gallery purge", "forget": "gallery purge",
        "ls": "gallery list", "mv": "gallery rename", "join": "gallery merge",
        "create": "enroll", "new": "enroll", "init": "enroll", "clear": "gallery purge --all",
        "twins": "gallery distinct", "lookalikes": "gallery distinct",
        "add": "enroll", "enroll": "enroll", "identify": "identify", "search": "identify",
        "find": "identify", "history": "gallery undo --list", "stats": "gallery info",
        "repair": "gallery check --repair", "verify": "gallery check", "save": "gallery backup",
    }  # fmt: skip


app = make_group(GalleryCommands, "Who is enrolled, and keeping it in order.")

Subject = Annotated[str, typer.Argument(metavar="SUBJECT")]


def info(
    gallery: GalleryOption = None, key_file: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Counts, embedder and operating point."""
    from facecli.report.people import info_row, info_text

    with open_gallery(gallery, key_file) as opened:
        found = opened.info()
    print_report(info_row(found), info_text(found), as_json)


def list_(
    gallery: GalleryOption = None, key_file: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Everyone enrolled."""
    from facecli.report.people import subject_row, subjects_table

    with open_storage(gallery, key_file) as storage:
        rows = [subject_row(s) for s in storage.reader.subjects()]
    print_report(rows, subjects_table(rows, terminal()), as_json)


def show(
    subject: Subject,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """One subject's references: photo, box, quality, when."""
    from facecli.report.people import reference_row, references_table

    with open_storage(gallery, key_file) as storage:
        found = storage.reader.references(storage.reader.find(subject).id)
        rows = [reference_row(r) for r in found]
    print_report(rows, references_table(rows, terminal()), as_json)


def rename(
    subject: Subject,
    name: Annotated[str, typer.Argument(metavar="NEW_NAME")],
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Give a subject another name; its references stay. `undo` takes it back."""
    with open_storage(gallery, key_file, dry_run) as storage:
        storage.rename(subject, name)
    done(f"renamed {subject} to {name}", dry_run)


def merge(
    subject: Subject,
    into: Annotated[str, typer.Argument(metavar="INTO")],
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Make two subjects one: SUBJECT's references become INTO's. `undo` takes it back."""
    from facecli.report.formats import counted

    with open_storage(gallery, key_file, dry_run) as storage:
        moved = storage.merge(subject, into)
    done(f"moved {counted(moved, 'reference')} from {subject} to {into}", dry_run)


def distinct(
    first: Annotated[str | None, typer.Argument(metavar="SUBJECT")] = None,
    second: Annotated[str | None, typer.Argument(metavar="SUBJECT")] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Take it back.")] = False,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say that two subjects are two people, however alike: twins. Without names, list who is.

    Then a face that is like both gets a name only where one of them is clearly more alike, and
    nobody takes them for one person under two names. `undo` takes it back.
    """
    from facecli.report.people import distinct_row, distinct_table

    if first is not None and second is None:
        raise UsageError(f"name two subjects: who is not {first}?")
    with open_storage(gallery, key_file, dry_run) as storage:
        if first is None or second is None:
            goes_with("--forget", forget, {"two subjects": second})
            rows = [distinct_row(a.name, b.name) for a, b in storage.reader.distinct()]
            print_report(rows, distinct_table(rows, terminal()), as_json)
            return
        storage.distinct(first, second, forget=forget)
    are = "are no longer said to be two people" if forget else "are two people"
    row = {**distinct_row(first, second), "distinct": not forget}
    print_change(row, f"{first} and {second} {are}", dry_run, as_json)


def remove(
    subject: Subject,
    reference: Annotated[
        int | None,
        typer.Option("--reference", metavar="ID", help="Only this one; see `gallery show`."),
    ] = None,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    dry_run: DryRunOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", hidden=True)] = False,
) -> None:
    """Take a subject out with all references, or one. `undo` takes it back, until `purge`.

    Nobody finds them any more, but their templates stay in the file: `purge` erases them.
    """
    from facecli.report.formats import counted

    with open_storage(gallery, key_file, dry_run) as storage:
        if reference is None:
            what = f"{subject} and {counted(storage.remove(subject), 'reference')}"
        else:
            left = storage.remove_reference(subject, reference)
            last = "" if left else ", the last one: the subject is gone"
            what = f"reference {reference} of {subject}{last}"
    done(f"removed {what}", dry_run)


def export(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="JSON Lines; 0600. - is stdout."),
        Output(stdout=True),
    ],
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    force: ForceOption = False,
) -> None:
    """Write every reference, templates included, to a portable file. It is biometric data."""
    from facecli.report.formats import counted, printable
    from facecli.storage import export

    with open_storage(gallery, key_file) as storage:
        if file == STDOUT:
            for line in export.exported(storage.reader):
                typer.echo(line)
            return
        count = export.export(storage.reader, file, force=force)
    typer.echo(printable(f"wrote {counted(count, 'reference')} to {file}"))


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Made by `gallery export`."), Input.PHOTOS
    ],
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    model: ModelOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Add what another gallery exported; a damaged file is refused whole."""
    from facecli.report.formats import counted
    from facecli.storage import export

    with (
        open_to_add(gallery, key_file, dry_run, model) as opened,
        opened.storage.rehearsal() if dry_run else nullcontext(),
    ):
        result = export.import_(opened.storage, file)
    done(f"imported {counted(result, 'new reference')}", dry_run)
