"""Names given back: a photo's people into the XMP sidecar beside it. The photo is never touched.

exiftool writes, by way of pyexiftool: it keeps what other programs wrote. A sidecar that is there
is added to; a new one begins with the XMP that the photo has inside, for many programs read no
other once there is one. Names go to the regions of the Metadata Working Group, `dc:subject` and
`Iptc4xmpExt:PersonInImage`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from facecli.common import outputs
from facecli.common.errors import OutputError, UsageError
from facecli.common.names import name_key
from facecli.datasets.matching import upright, way
from facecli.datasets.regions import LARGEST, NOBODY, Box, Tags, beside, centred, embedded, of_xmp

if TYPE_CHECKING:
    from exiftool import ExifTool

_REGIONS = "XMP-mwg-rs:RegionInfo"
_LISTS = ("XMP-dc:Subject", "XMP-iptcExt:PersonInImage")


@dataclass(frozen=True, slots=True)
class Shown:
    """A photo and its faces. size: as stored, px. orientation: of its EXIF, 1 to 8.

    faces: all boxes there are, px of the upright photo. named: a name for some of them, by index.
    """

    path: Path
    data: bytes
    size: tuple[int, int]
    orientation: int
    faces: tuple[Box, ...]
    named: tuple[tuple[int, str], ...]

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) as shown, px."""
        width, height = self.size
        return (height, width) if self.orientation >= 5 else (width, height)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a photo's sidecar. names: what was added; none where all was there already.

    left: what was not, a line each, because the sidecar says otherwise.
    """

    path: Path
    names: tuple[str, ...]
    left: tuple[str, ...]


class SidecarWriter:
    """Writes sidecars, one after another, with one exiftool; see `opened`."""

    def __init__(self, tool: ExifTool, folder: Path) -> None:
        self._tool = tool
        self._folder = folder

    def write(self, shown: Shown, *, dry_run: bool = False) -> Written:
        """Add a photo's names to its sidecar.

        Raises OutputError or UsageError, all as it was, where the sidecar cannot be read by
        exiftool or would lose by it, is another photo's, or may not be written.
        """
        target = next((path for path in beside(shown.path) if os.path.lexists(path)), None)
        start = embedded(shown.data) if target is None else _read(target)
        target = target or beside(shown.path)[0]
        if len(start) > LARGEST:
            raise OutputError(f"{target}: more than {LARGEST >> 20} MiB of XMP: nothing is written")
        there = of_xmp(start) if start else Tags()
        if any(fault.startswith("no XMP") for fault in there.faults):
            raise OutputError(f"{target}: {there.faults[0]}; it is left as it is")
        work = self._folder / "sidecar.xmp"
        work.unlink(missing_ok=True)
        if start:
            work.write_bytes(start)
        before = self._tags(work) if start else {}
        if (lost := _unwritable(before)) is not None:
            raise OutputError(
                f"{target}: the region of {lost!r} has a place that is no number, which exiftool "
                "would leave out; it is left as it is"
            )
        turned = way(there, shown.faces, shown.upright_size, shown.orientation)
        if turned == 0:
            raise OutputError(
                f"{target}: its regions are of a picture of another shape; it is left as it is"
            )
        after, names, left = _merged(before, shown, turned)
        if names and not dry_run:
            self._change(work, after)
            mode = (target if target.exists() else shown.path).stat().st_mode & 0o666
            outputs.write(target, work.read_bytes(), force=True)
            target.chmod(mode)  # a new one is for whoever may see the photo
        elif names:
            outputs.judge(target, force=True)
        return Written(target, tuple(names), tuple(left))

    def _tags(self, work: Path) -> dict[str, Any]:
        """What is written there of people, all values as text, exactly as they stand."""
        printed = self._run(
            "-j", "-struct", "-G1", f"-{_REGIONS}", *(f"-{tag}" for tag in _LISTS), str(work)
        )
        listed = json.loads(printed, parse_float=str, parse_int=str) if printed.strip() else [{}]
        return dict(listed[0])

    def _change(self, work: Path, tags: dict[str, Any]) -> None:
        order = self._folder / "tags.json"
        order.write_text(
            json.dumps([{**tags, "SourceFile": "*"}], ensure_ascii=False), encoding="utf-8"
        )
        self._run("-struct", f"-j={order}", "-overwrite_original", str(work))

    def _run(self, *words: str) -> str:
        printed = self._tool.execute(*words)
        if self._tool.last_status != 0:
            said = (str(self._tool.last_stderr).strip() or "no reason given").splitlines()[0]
            raise OutputError(f"exiftool: {said}; nothing was changed")
        return str(printed)


@contextmanager
def opened() -> Iterator[SidecarWriter]:
    """A writer, whose exiftool ends with the block.

    Raises UsageError where pyexiftool or exiftool is missing.
    """
    try:
        from exiftool import ExifTool
        from exiftool.exceptions import ExifToolException
    except ImportError:
        raise UsageError(
            "writing tags needs an optional extra: pip install 'facecli[tags]'"
        ) from None
    try:
        # An empty config: a user's own could run anything.
        tool = ExifTool(common_args=[], config_file="", encoding="utf-8")
        tool.run()
    except (FileNotFoundError, OSError, RuntimeError, ExifToolException) as error:
        raise UsageError(
            "writing tags needs the program exiftool, 12.15 or newer (Debian, Ubuntu: apt install "
            f"libimage-exiftool-perl; macOS: brew install exiftool): {_first_line(error)}"
        ) from None
    try:
        with TemporaryDirectory(prefix="facecli-") as folder:
            yield SidecarWriter(tool, Path(folder))
    finally:
        tool.terminate()


def _merged(
    before: dict[str, Any], shown: Shown, turned: int
) -> tuple[dict[str, Any], list[str], list[str]]:
    """The tags with the names added; the names that are new; and what is left, a line each."""
    info = before.get(_REGIONS) or {}
    regions = [dict(region) for region in info.get("RegionList") or []]
    places = [_placed(region, turned, shown.upright_size) for region in regions]
    added: list[str] = []
    left: list[str] = []
    given: list[str] = []
    for face, name in shown.named:
        box = shown.faces[face]
        rivals = [
            region for region, place in zip(regions, places, strict=True)
            if place is not None and centred(place, box)
        ]  # fmt: skip
        others = {str(r.get("Name", "")) for r in rivals if not _nobody(r)}
        if {name_key(other) for other in others} - {name_key(name)}:
            left.append(f"{name}: the sidecar says {', '.join(sorted(others))}; left as it is")
            continue
        given.append(name)
        if others:
            continue
        added.append(name)
        if rivals:
            rivals[0]["Name"] = name
        else:
            regions.append(_region(name, box, turned, shown.upright_size))
            places.append(box)
    after: dict[str, Any] = {
        _REGIONS: {
            "AppliedToDimensions": _dimensions(shown, turned),
            **info,
            "RegionList": regions,
        }
    }
    for tag in _LISTS:
        held = before.get(tag, [])
        listed = [str(item) for item in held] if isinstance(held, list) else [str(held)]
        keys = {name_key(item) for item in listed}
        new = [name for name in dict.fromkeys(given) if name_key(name) not in keys]
        after[tag] = [*listed, *new]
        added += [name for name in new if name not in added]
    return after, list(dict.fromkeys(added)), left


def _unwritable(tags: dict[str, Any]) -> str | None:
    """The name of a region that exiftool reads and would not write again; None where none is."""
    for region in (tags.get(_REGIONS) or {}).get("RegionList") or []:
        for side, value in (region.get("Area") or {}).items():
            if side != "Unit" and not _finite(value):
                return str(region.get("Name", ""))
    return None


def _finite(value: object) -> bool:
    try:
        return math.isfinite(float(str(value)))
    except ValueError:
        return False


def _nobody(region: dict[str, Any]) -> bool:
    name = " ".join(str(region.get("Name", "")).split()).casefold()
    return not name or name in NOBODY


def _placed(region: dict[str, Any], turned: int, size: tuple[int, int]) -> Box | None:
    """A written region in px of the upright photo; None where its place is none."""
    area = region.get("Area") or {}
    try:
        x, y, w, h = (float(area[side]) for side in "XYWH")
    except (KeyError, TypeError, ValueError):
        return None
    x1, y1, x2, y2 = upright((x - w / 2, y - h / 2, x + w / 2, y + h / 2), turned)
    return x1 * size[0], y1 * size[1], x2 * size[0], y2 * size[1]


def _region(name: str, box: Box, turned: int, size: tuple[int, int]) -> dict[str, Any]:
    """A face as it is written: by its centre, in shares of the picture that regions are of."""
    shares = box[0] / size[0], box[1] / size[1], box[2] / size[0], box[3] / size[1]
    back = {6: 8, 8: 6}.get(turned, turned)  # the others undo themselves
    x1, y1, x2, y2 = upright(shares, back)
    area = {"X": (x1 + x2) / 2, "Y": (y1 + y2) / 2, "W": x2 - x1, "H": y2 - y1}
    return {
        "Area": {**{side: f"{value:.6f}" for side, value in area.items()}, "Unit": "normalized"},
        "Name": name,
        "Type": "Face",
    }


def _dimensions(shown: Shown, turned: int) -> dict[str, Any]:
    width, height = shown.size if turned == shown.orientation else shown.upright_size
    return {"W": width, "H": height, "Unit": "pixel"}


def _read(path: Path) -> bytes:
    outputs.judge(path, force=True)  # a link, a folder, what is no text
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
