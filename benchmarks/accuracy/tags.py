"""Names by face tags: planted regions, in every form, orientation and convention.

    python -m benchmarks.accuracy.tags ../shared/lfw-dev [--sheets 200] [--no-exiftool]

A sheet shows six people of lfw-dev, larger and smaller and not in line, as people stand; each is
named by a region around the middle of their photo, where LFW's makers had found the face: scaled
by 0.7 to 2.2 and moved by up to 20 % of the face each way, drawn by chance. Every seventh region
is planted where nobody is, on the sheet's margin. The sheet is stored in one of eight
orientations, its regions drawn as it is stored or as it is shown, with or without the picture's
size, in one of the forms of `tests/support/tags.py`, inside or beside it.

A name is right where the face that is enrolled lies in that person's part of the sheet, and there
is one to find where the detector, asked here without tags, has one around that middle.
Then the same sheets without tags are identified with the gallery made, the names written by
exiftool, and a second gallery enrolled from these: it must hold the faces that were identified,
each under that name, and no others. (`--grid` sets people in a grid, where a photo upside down
has a face wherever the upright one has: then a region without a picture's size fits two faces.)
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from facecli.common.types import Photo
from facecli.datasets import sidecars
from facecli.gallery.enroll_tagged import enroll_tagged
from facecli.gallery.gallery import Gallery
from facecli.gallery.write_tags import write_tags

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from support import tags

CELL, ACROSS, DOWN, MARGIN = 320, 3, 2, 90  # px
TILES = 150, 260  # px of a person's photo, drawn by chance
FACE = 1 / 2.2  # of it: LFW's makers cut out so much more than what their detector found
SCALES, MOVED = (0.7, 2.2), 0.2
FOUND_AT_LEAST = 0.99
SIZE = (ACROSS * CELL, DOWN * CELL + MARGIN)


@dataclass(frozen=True, slots=True)
class Planted:
    """A region that names somebody. tile: their part of the sheet, px; None where nobody is."""

    name: str
    tile: tags.Box | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--sheets", type=int, default=200)
    parser.add_argument("--no-exiftool", action="store_true")
    parser.add_argument("--grid", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(args.root, Path(folder), args.sheets, not args.no_exiftool, args.grid)


def run(root: Path, folder: Path, sheets: int, exiftool: bool, grid: bool) -> None:
    draw = np.random.default_rng(16)
    people = sorted((root / "photos").iterdir())
    order = draw.permutation(len(people))
    tagged, plain = folder / "tagged", folder / "plain"
    tagged.mkdir()
    plain.mkdir()
    planted: dict[str, list[Planted]] = {}
    for number in range(sheets):
        some = [people[order[(number * 6 + i) % len(people)]] for i in range(6)]
        planted[f"{number:04}.jpg"] = sheet(some, number, draw, tagged, plain, grid)
    with Gallery.open(folder / "g", create=True) as gallery:
        paths = sorted(tagged.glob("*.jpg"))
        report = enroll_tagged(gallery, paths, min_quality=0)
        truth = dict(findable(gallery, paths, planted))
        judge(gallery, planted, truth)
        reasons = Counter(i.failure.detail.partition(": ")[2] for i in report.items if i.failure)
        for reason, count in reasons.most_common():
            print(f"  {count:5} {reason}")
        if exiftool:
            written_back(gallery, folder, sorted(plain.glob("*.jpg")))


def sheet(
    some: list[Path],
    number: int,
    draw: np.random.Generator,
    tagged: Path,
    plain: Path,
    grid: bool,
) -> list[Planted]:
    """Write a sheet with tags, and without; what was planted."""
    picture = Image.new("RGB", SIZE, (96, 104, 112))
    regions: list[tuple[str, tags.Box]] = []
    found: list[Planted] = []
    tiles = in_a_grid() if grid else anywhere(draw)
    for i, person in enumerate(some):
        left, top, side = tiles[i]
        with Image.open(sorted(person.glob("*.jpg"))[0]) as photo:
            picture.paste(photo.convert("RGB").resize((side, side)), (left, top))
        middle = (left + side / 2, top + side / 2)
        regions.append((person.name, region(middle, side * FACE, draw)))
        found.append(Planted(person.name, (left, top, left + side, top + side)))
    nowhere = (draw.uniform(100, SIZE[0] - 100), SIZE[1] - MARGIN / 2)
    regions.append((f"Nobody {number}", region(nowhere, 110.0, draw)))
    found.append(Planted(f"Nobody {number}", None))
    orientation, form = number % 8 + 1, tags.FORMS[number % len(tags.FORMS)]
    as_stored, told = bool(draw.integers(2)), bool(draw.integers(2))
    if as_stored:
        regions = [(name, tags.stored(box, orientation)) for name, box in regions]
    drawn = SIZE[::-1] if as_stored and orientation >= 5 else SIZE
    packet = tags.xmp(form, regions, drawn if told else None)
    name = f"{number:04}.jpg"
    inside = bool(draw.integers(2))
    (tagged / name).write_bytes(tags.jpeg(picture, orientation, packet if inside else b""))
    if not inside:
        (tagged / f"{name}.xmp").write_bytes(packet)
    (plain / name).write_bytes(tags.jpeg(picture, orientation))
    return found


def in_a_grid() -> list[tuple[int, int, int]]:
    """(left, top, side) px of six tiles, in line."""
    return [(i % ACROSS * CELL, i // ACROSS * CELL, 250) for i in range(ACROSS * DOWN)]


def anywhere(draw: np.random.Generator) -> list[tuple[int, int, int]]:
    """The same of tiles of any size wherever there is room."""
    while True:
        tiles: list[tuple[int, int, int]] = []
        for _ in range(400):
            side = int(draw.integers(*TILES))
            left = int(draw.integers(0, SIZE[0] - side))
            top = int(draw.integers(0, SIZE[1] - MARGIN - side))
            if all(
                left + side <= x or x + s <= left or top + side <= y or y + s <= top
                for x, y, s in tiles
            ):
                tiles.append((left, top, side))
            if len(tiles) == ACROSS * DOWN:
                return tiles


def region(middle: tuple[float, float], face: float, draw: np.random.Generator) -> tags.Box:
    """Drawn by hand around a face of this size, in shares of the sheet."""
    side = face * draw.uniform(*SCALES)
    x, y = (at + face * draw.uniform(-MOVED, MOVED) for at in middle)
    box = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    return tuple(edge / SIZE[i % 2] for i, edge in enumerate(box))  # type: ignore[return-value]


def findable(
    gallery: Gallery, paths: list[Path], planted: dict[str, list[Planted]]
) -> Iterator[tuple[tuple[str, str], bool]]:
    """(sheet, name) of everybody, and whether the detector has a face in the middle of theirs."""
    for path, photo in zip(paths, gallery.models.extractor.photos(paths), strict=True):
        assert isinstance(photo, Photo)
        for one in planted[path.name]:
            if one.tile is not None:
                middle = tuple((one.tile[i] + one.tile[i + 2]) / 2 for i in (0, 1))
                there = any(
                    box[0] <= middle[0] <= box[2] and box[1] <= middle[1] <= box[3]
                    for box in (found.face.box for found in photo.faces)
                )
                yield (path.name, one.name), there


def judge(
    gallery: Gallery, planted: dict[str, list[Planted]], truth: dict[tuple[str, str], bool]
) -> None:
    right = wrong = 0
    for row in gallery.storage.reader.references():
        sheet_name = Path(row.path).name
        tile = next(one.tile for one in planted[sheet_name] if one.name == row.subject)
        x, y = (row.face.box[0] + row.face.box[2]) / 2, (row.face.box[1] + row.face.box[3]) / 2
        inside = tile is not None and tile[0] <= x <= tile[2] and tile[1] <= y <= tile[3]
        right, wrong = right + inside, wrong + (not inside)
    there = sum(truth.values())
    regions = sum(map(len, planted.values()))
    share = right / there
    verdict = "met" if wrong == 0 and share >= FOUND_AT_LEAST else "MISSED"
    print(f"{regions:,} regions, {len(truth):,} of them at people, {there:,} of these with a face")
    print(
        f"names on a wrong face: {wrong} (0); right ones found: {right:,}, {share:.2%} "
        f"(at least {FOUND_AT_LEAST:.0%}): {verdict}"
    )


def written_back(gallery: Gallery, folder: Path, plain: list[Path]) -> None:
    """Identify, write, and enrol again from what was written."""
    before = {path: path.read_bytes() for path in plain}
    refused: list[str] = []
    first = set[tuple[str, str, int | None]]()
    outcomes = Counter[str]()
    with sidecars.opened() as writer:
        found = gallery.identify(plain, min_quality=0)
        for decision in write_tags(
            found, writer, lambda path, became: refused.append(str(became))
            if isinstance(became, Exception) else None,
        ):  # fmt: skip
            outcomes[str(decision.outcome)] += 1
            if decision.subject is not None:
                probe = decision.probe
                first.add((decision.subject, Path(probe.path).name, probe.index))
    assert all(path.read_bytes() == data for path, data in before.items()), "a photo was changed"
    with Gallery.open(folder / "again", create=True) as second:
        enroll_tagged(second, plain, min_quality=0)
        rows = list(second.storage.reader.references())
    again = {(row.subject, Path(row.path).name, row.face_index) for row in rows}
    print(f"written back: {dict(outcomes)}; {len(refused)} sidecars refused, no photo changed")
    print(
        f"enrolled from these: {len(first & again):,} of {len(first):,} faces under the same name, "
        f"{len(again - first)} others: {'met' if first == again else 'MISSED'}"
    )
    for refusal in refused[:3]:
        print(f"  {refusal}")


if __name__ == "__main__":
    main()
