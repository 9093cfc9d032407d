"""`facecli group ...`: people without names, from photos to groups to the gallery."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from facecli.cli.groups import LazyGroup, make_group
from facecli.cli.options import (
    DetectorOption,
    DeviceOption,
    ForceOption,
    GalleryOption,
    JsonOption,
    KeyOption,
    ModelOption,
    QualityOption,
    QuietOption,
    ReportOption,
    WorkersOption,
    at_most_one,
    goes_with,
    note,
    open_file,
    open_gallery,
    open_to_add,
    print_beside,
    print_report,
    progress,
    quality_bar,
    resumable,
)
from facecli.cli.paths import Input, Output
from facecli.common.enums import DetectorName, Device
from facecli.common.errors import InputError, UsageError
from facecli.common.outputs import STDOUT

if TYPE_CHECKING:
    from facecli.report.formats import Row
    from facecli.storage.sqlite.grouping_file import GroupingFile
    from facecli.storage.sqlite.store import GalleryFile

PHOTOS = "PHOTOS"  # the command that is meant where the first word is no other


class GroupCommands(LazyGroup):
    """Those below; the first word may be a photo or a folder."""

    homes: ClassVar[Mapping[str, str]] = {
        PHOTOS: "facecli.cli.group:group",
        "list": "facecli.cli.group:list_",
        "show": "facecli.cli.group:show",
        "name": "facecli.cli.group:name",
        "merge": "facecli.cli.group:merge",
        "split": "facecli.cli.group:split",
        "ignore": "facecli.cli.group:ignore",
        "undo": "facecli.cli.group:undo",
        "export": "facecli.cli.group:export",
    }

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """`group holiday/ -q` is `group PHOTOS holiday/ -q`."""
        named = args and args[0] in self.homes and args[0] != PHOTOS
        if args and not named and args[0] not in ctx.help_option_names:
            args = [PHOTOS, *args]
        return list(super().parse_args(ctx, args))


app = make_group(
    GroupCommands, "Group faces by person where nobody named them, and name the groups."
)

PhotosArgument = Annotated[
    list[Path], typer.Argument(metavar="PHOTOS", help="Photos, clips, folders."), Input.PHOTOS
]
GroupArgument = Annotated[int, typer.Argument(metavar="GROUP", help="Its number.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="CSV, a row a group or face.")]


def group(
    photos: PhotosArgument,
    page: ReportOption = None,
    min_quality: QualityOption = None,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    model: ModelOption = None,
    device: DeviceOption = Device.AUTO,
    detector: DetectorOption = DetectorName.YUNET,
    workers: WorkersOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    quiet: QuietOption = False,
) -> None:
    """Find every face in photos and group them by person. Run it again at any time, with more.

    Of a clip every appearance of a person counts as a face. What you decide about a group stays.
    Exit code 3 when no photo could be used.
    """
    from facecli.datasets.labels import photos as found_below
    from facecli.datasets.photo_files import left_out_lines
    from facecli.gallery import group as verb
    from facecli.report.groups import Groups, grouped_row, grouped_text
    from facecli.storage import opening

    at_most_one({"--json": as_json, "--csv": as_csv, "--report -": page == STDOUT})
    goes_with("--force", force, {"--report FILE": page})
    if page is not None:
        # Here, so that a missing extra shows before the work is done.
        from facecli.report.groups_page import groups_page
        from facecli.report.html import save
    below = found_below(photos, moving=True)
    paths = below.paths
    if not paths:
        raise InputError(
            f"no photos found below {photos[0]}; what else can be done says `facecli group --help`"
        )
    with open_to_add(gallery, key_file, False, model, device, detector) as opened:
        with (
            resumable("what was looked at is kept, run the same command to go on"),
            progress(len(paths), quiet) as step,
        ):
            report = verb.group(
                opened, paths, min_quality=quality_bar(min_quality), workers=workers, progress=step
            )
        report = report.with_problems(below.problems)
        with verb.grouping_of(opening.file_of(opened.storage, verb.WHAT)) as grouping:
            found = Groups.of(grouping)
            html = "" if page is None else groups_page(found, grouping.faces)
    if page is not None and page != STDOUT:
        save(html, page, force=force)
        note(f"wrote {page}; it holds photos of people", quiet)
    row, text = grouped_row(report, found), grouped_text(report, found)
    if page == STDOUT:
        print_beside(html, row, text, as_json)
    else:
        _print(row, row["groups"], text, as_json, as_csv)
    for line in left_out_lines(below.left_out):
        note(line, quiet)
    if not report.looked_at and not report.already:
        note("no photo could be used", quiet)
        raise typer.Exit(InputError.exit_code)


def list_(
    everything: Annotated[
        bool, typer.Option("--all", help="Also those of one face, and all links.")
    ] = False,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """The groups, the largest first, and the links that are worth a look."""
    from facecli.report.groups import Groups, group_row, groups_text, link_row, summary

    at_most_one({"--json": as_json, "--csv": as_csv})
    with _grouping(gallery, key_file) as (_, grouping):
        found = Groups.of(grouping)
    rows = [group_row(each) for each in found.groups]
    row = {"groups": rows, "links": [link_row(link, found.faces) for link in found.links]}
    text = f"{summary(found)}\n\n{groups_text(found, everything=everything)}"
    _print(row, rows, text, as_json, as_csv)


def show(
    group: GroupArgument,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """A group's faces: number, photo, box, quality; the best first."""
    from facecli.report.groups import faces_table, group_row, seen_row

    at_most_one({"--json": as_json, "--csv": as_csv})
    with _grouping(gallery, key_file) as (_, grouping):
        found, faces = grouping.group(group), grouping.faces(group)
    rows = [seen_row(face) for face in faces]
    _print({**group_row(found), "faces": rows}, rows, faces_table(faces), as_json, as_csv)


def name(
    group: GroupArgument,
    subject: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="By default whom it is offered for."),
    ] = None,
    min_quality: QualityOption = None,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enrol a group's faces under a name, new or enrolled already. `undo` takes it back."""
    from facecli.datasets.labels import LabelledPhotos
    from facecli.gallery import group as verb
    from facecli.report.enrollment import enroll_row
    from facecli.report.groups import named_text
    from facecli.storage import opening

    with open_gallery(gallery, key_file) as opened:
        file = opening.file_of(opened.storage, verb.WHAT)
        with verb.grouping_of(file) as grouping:
            report = verb.name(
                opened, grouping, group, subject, min_quality=quality_bar(min_quality)
            )
    row = enroll_row(report, LabelledPhotos((), ()))
    print_report(row, named_text(row, group), as_json)


def merge(
    group: GroupArgument,
    into: Annotated[int, typer.Argument(metavar="INTO", help="The other's number.")],
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
) -> None:
    """Make two groups one: GROUP's faces become INTO's. `undo` takes it back."""
    from facecli.report.formats import counted

    with _grouping(gallery, key_file) as (_, grouping):
        faces = grouping.merge(group, into)
    typer.echo(f"merged group {group} into {into}: {counted(faces, 'face')}")


def split(
    group: GroupArgument,
    faces: Annotated[
        list[int], typer.Argument(metavar="FACES", help="Numbers of faces, see `group show`.")
    ],
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
) -> None:
    """Move faces of a group to a new one, and keep the two apart. `undo` takes it back."""
    from facecli.report.formats import counted

    with _grouping(gallery, key_file) as (_, grouping):
        new = grouping.split(group, faces)
    typer.echo(f"moved {counted(len(set(faces)), 'face')} of group {group} to group {new}")


def ignore(group: GroupArgument, gallery: GalleryOption = None, key_file: KeyOption = None) -> None:
    """Set a group aside: somebody who does not matter. `undo` takes it back."""
    from facecli.report.formats import counted

    with _grouping(gallery, key_file) as (_, grouping):
        found = grouping.ignore(group)
    typer.echo(f"set group {group} aside: {counted(found.faces, 'face')}")


def undo(
    show: Annotated[bool, typer.Option("--list", help="Show what can be undone.")] = False,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
) -> None:
    """Take back the newest merge, split, ignore or name; again, the one before."""
    from facecli.gallery import group as verb
    from facecli.report.columns import table
    from facecli.report.formats import counted, printable

    with _grouping(gallery, key_file) as (file, grouping):
        if show:
            cells = [[str(c.id), c.text, c.at] for c in grouping.changes()]
            typer.echo(table(cells, ["change", "what", "when"]) if cells else "nothing to undo")
            return
        undone = verb.undo(file, grouping)
    removed = f"; removed {counted(len(undone.enrolled), 'reference')} of {undone.name}"
    typer.echo(printable(f"undone: {undone.change.text}{removed if undone.enrolled else ''}"))


def export(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Made if it is not there."), Output(folder=True)
    ],
    link: Annotated[bool, typer.Option("--link", help="Links to the photos.")] = False,
    copy: Annotated[bool, typer.Option("--copy", help="Copies of them.")] = False,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sort the photos into folders: one for each group, called by its name or number.

    A photo of several people is in several. Groups that were set aside are left out.
    """
    from facecli.grouping.export import export as write
    from facecli.report.groups import exported_row, exported_text

    if link == copy:
        raise UsageError("choose one of --link and --copy")
    with _grouping(gallery, key_file) as (_, grouping):
        found = write(grouping, folder, copy=copy)
    print_report(exported_row(found), exported_text(found, folder), as_json)


@contextmanager
def _grouping(
    gallery: Path | None, key_file: str | None
) -> Iterator[tuple[GalleryFile, GroupingFile]]:
    """The gallery file and the grouping beside it."""
    from facecli.gallery import group as verb

    with open_file(verb.WHAT, gallery, key_file) as file, verb.grouping_of(file) as grouping:
        yield file, grouping


def _print(row: object, rows: Sequence[Row], text: str, as_json: bool, as_csv: bool) -> None:
    """A report on stdout: `row` as JSON, `rows` as CSV, or `text` for people."""
    from facecli.report.formats import as_csv as csv_text

    if as_csv:
        typer.echo(csv_text(rows))
    else:
        print_report(row, text, as_json)
