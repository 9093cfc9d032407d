"""Names that other programs gave to faces: read from a photo's XMP, its sidecar, or its JSON.

XMP is RDF (ISO 16684-1), where one thing may be an attribute, an element, or either inside a
`Description`. Two ways to tell where a face is are in use: the Metadata Working Group's regions
(digiKam, Lightroom, Picasa) and Microsoft Photo's. Google's and Immich's JSON name people, Immich's
with boxes. What is written is kept as it is: whose face it is, `matching` tells.
"""

from __future__ import annotations

import errno
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from facecli.common.files import regular
from facecli.common.names import name_fault, name_key

TAG_FILES = (".xmp", ".json")  # endings of what may lie beside a photo
LARGEST = 4 << 20  # bytes of XMP or JSON; the largest that programs write are some 100 KB
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_MWG = "{http://www.metadataworkinggroup.com/schemas/regions/}"
_AREA = "{http://ns.adobe.com/xmp/sType/Area#}"
_SIZE = "{http://ns.adobe.com/xap/1.0/sType/Dimensions#}"
_MP = "{http://ns.microsoft.com/photo/1.2/t/RegionInfo#}"
_MP_REGION = "{http://ns.microsoft.com/photo/1.2/t/Region#}"
_START, _END = b"<x:xmpmeta", b"</x:xmpmeta>"
_PACKET, _PACKET_END = b"<rdf:RDF", b"</rdf:RDF>"
# What programs write where nobody was named.
NOBODY = frozenset(
    {"unknown", "unknown person", "unknown face", "unnamed", "unnamed person", "unconfirmed",
     "ignored", "ignore", "nobody", "no name", "none", "n/a"}
)  # fmt: skip

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Region:
    """A named place in a photo. box: (x1, y1, x2, y2), shares of its width and height in [0, 1];
    of the photo as it is stored, or as it is shown: programs differ.
    """

    name: str
    box: Box


@dataclass(frozen=True, slots=True)
class Tags:
    """What a photo's tags say of its people.

    regions: each with a name that can be a subject's. names: of people somewhere in the photo.
    size: (width, height) of the picture that the regions were drawn in, px; None where not told.
    faults: what was left out, a line each. source: the file.
    """

    regions: tuple[Region, ...] = ()
    names: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    faults: tuple[str, ...] = ()
    source: str = ""

    def __bool__(self) -> bool:
        return bool(self.regions or self.names or self.faults)


def read_tags(photo: Path, data: bytes) -> Tags:
    """The tags of a photo. data: its bytes. Never raises: what cannot be read is a fault.

    A sidecar is newer than what is in the photo, so the first of these that names somebody counts:
    `photo.jpg.xmp`, `photo.xmp`, the photo itself, `photo.jpg.json` and what Google Takeout makes
    of the name. Faults of those before are kept.
    """
    faults: list[str] = []
    for source, found in _sources(photo, data):
        if isinstance(found, str):
            faults.append(f"{source.name}: {found}")
            continue
        tags = _of_json(found, source, photo) if source.suffix == ".json" else of_xmp(found)
        of_source = [f"{source.name}: {fault}" for fault in tags.faults]
        if tags.regions or tags.names:
            return Tags(tags.regions, tags.names, tags.size, (*faults, *of_source), source.name)
        faults += of_source
    return Tags(faults=tuple(faults), source=photo.name)


def embedded(data: bytes) -> bytes:
    """The XMP inside a photo's bytes, whatever its format; empty where there is none."""
    for start, end in ((_START, _END), (_PACKET, _PACKET_END)):
        first = data.find(start)
        last = data.find(end, first)
        if first >= 0 and last >= 0:
            return data[first : last + len(end)]
    return b""


def beside(photo: Path) -> tuple[Path, Path]:
    """Where programs keep a photo's XMP: with its whole name, or without its ending."""
    return photo.with_name(photo.name + ".xmp"), photo.with_suffix(".xmp")


def _sources(photo: Path, data: bytes) -> Iterator[tuple[Path, bytes | str]]:
    """Where tags may be, with the bytes, or with what keeps these from being read."""
    for sidecar in beside(photo):
        if (held := _file(sidecar)) is not None:
            yield sidecar, held
    if packet := embedded(data):
        yield photo, packet if len(packet) <= LARGEST else _too_large(len(packet))
    for sidecar in _json_beside(photo):
        if (held := _file(sidecar)) is not None:
            yield sidecar, held


def _json_beside(photo: Path) -> Iterator[Path]:
    """Takeout's names: with what it adds, cut to 46 letters, wherever that falls; the number of a
    second photo of a name comes last, so that `a(1).jpg` has `a.jpg.supplemental-metadata(1).json`.
    """
    bare, number = _numbered(photo.stem)
    seen = set[str]()
    for stem, last in ((bare, number), (photo.stem, "")):
        for text in (f"{stem}{photo.suffix}", stem):
            for whole in (f"{text}.supplemental-metadata", text):
                for name in (f"{whole}{last}.json", f"{whole[:46]}{last}.json"):
                    if name not in seen:
                        seen.add(name)
                        yield photo.with_name(name)


def _numbered(stem: str) -> tuple[str, str]:
    """`a(1)` as `a` and `(1)`; the number is empty where there is none."""
    found = re.fullmatch(r"(.+)(\(\d+\))", stem)
    return (found[1], found[2]) if found else (stem, "")


def _file(path: Path) -> bytes | str | None:
    """Its bytes; what is wrong with it; None where nothing is there."""
    try:
        with regular(path, LARGEST).open("rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None  # nothing can be called so
        return error.strerror or str(error)


def _too_large(size: int) -> str:
    return f"{size >> 20} MiB of XMP, the limit is {LARGEST >> 20}"


# XMP ------------------------------------------------------------------------------------------


def of_xmp(text: bytes) -> Tags:
    """The tags of a packet; where it is none, that is their fault."""
    try:
        root = fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError) as error:
        return Tags(faults=(f"no XMP that can be read ({_first_line(error)})",))
    regions: list[Region] = []
    faults: list[str] = []
    size: tuple[int, int] | None = None
    for holder in root.iter():
        size = size or _size(_inside(holder, f"{_MWG}AppliedToDimensions"))
        for item in _items(holder, f"{_MWG}RegionList"):
            if (_value(item, f"{_MWG}Type") or "Face").casefold() == "face":
                _add(_value(item, f"{_MWG}Name"), _mwg_box(item), regions, faults)
        for item in _items(holder, f"{_MP}Regions"):
            if _value(item, f"{_MP_REGION}Rectangle") is not None:  # else only a name, no place
                name = _value(item, f"{_MP_REGION}PersonDisplayName")
                _add(name, _mp_box(item), regions, faults)
    return Tags(_once(regions), (), size, tuple(faults))


def _add(name: str | None, box: Box | None, regions: list[Region], faults: list[str]) -> None:
    """Add a region, or what is wrong with it."""
    called = " ".join((name or "").split())
    if not called or called.casefold() in NOBODY:
        faults.append(f"a face that is called {called!r}: nobody's name")
    elif fault := name_fault(called):
        faults.append(f"a face that is called {called!r}: {fault}")
    elif box is None:
        faults.append(f"the region of {called!r} has no place in the picture")
    else:
        regions.append(Region(called, box))


def _once(regions: Sequence[Region]) -> tuple[Region, ...]:
    """Programs that write both kinds of regions write each face twice."""
    kept: list[Region] = []
    for region in regions:
        if not any(
            name_key(region.name) == name_key(other.name) and centred(region.box, other.box)
            for other in kept
        ):
            kept.append(region)
    return tuple(kept)


def centred(box: Box, other: Box) -> bool:
    """Whether the centre of each lies in the other."""
    return _holds(box, other) and _holds(other, box)


def _holds(box: Box, other: Box) -> bool:
    x, y = (other[0] + other[2]) / 2, (other[1] + other[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _mwg_box(item: Element) -> Box | None:
    """The centre, width and height that an area is given by, as a box."""
    area = _inside(item, f"{_MWG}Area")
    if area is None:
        return None
    unit = _value(area, f"{_AREA}unit") or "normalized"
    x, y, w, h = (_number(_value(area, f"{_AREA}{letter}")) for letter in "xywh")
    diameter = _number(_value(area, f"{_AREA}d"))  # of a circle
    w, h = (diameter if math.isnan(side) else side for side in (w, h))
    return _box(x - w / 2, y - h / 2, w, h) if unit.casefold() == "normalized" else None


def _mp_box(item: Element) -> Box | None:
    """`left, top, width, height`."""
    numbers = [_number(part) for part in (_value(item, f"{_MP_REGION}Rectangle") or "").split(",")]
    return _box(*numbers) if len(numbers) == 4 else None


def _box(left: float, top: float, width: float, height: float) -> Box | None:
    """None where it does not lie in the picture, or some of it is no number."""
    box = (left, top, left + width, top + height)
    sound = width > 0 and height > 0 and width <= 2 and height <= 2  # NaN fails, too
    inside = 0 <= (box[0] + box[2]) / 2 <= 1 and 0 <= (box[1] + box[3]) / 2 <= 1
    return box if sound and inside else None


def _size(dimensions: Element | None) -> tuple[int, int] | None:
    if dimensions is None:
        return None
    sides = [_number(_value(dimensions, f"{_SIZE}{side}")) for side in "wh"]
    return (round(sides[0]), round(sides[1])) if all(1 <= side < 1e6 for side in sides) else None


def _number(text: str | None) -> float:
    """NaN where it is none."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _nodes(holder: Element) -> Iterator[Element]:
    """Where a thing's properties may stand: in it, or in the Description inside."""
    yield holder
    yield from holder.findall(f"{_RDF}Description")


def _value(holder: Element, name: str) -> str | None:
    """A property, written as an attribute or an element."""
    for node in _nodes(holder):
        if name in node.attrib:
            return node.attrib[name]
        if (child := node.find(name)) is not None:
            return child.text or ""
    return None


def _inside(holder: Element, name: str) -> Element | None:
    """A property that has properties itself."""
    return next((found for node in _nodes(holder) if (found := node.find(name)) is not None), None)


def _items(holder: Element, name: str) -> Iterator[Element]:
    """What a list holds; `holder` is where the list stands."""
    for listed in holder.findall(name):
        for kind in ("Bag", "Seq", "Alt"):
            for bag in listed.findall(f"{_RDF}{kind}"):
                yield from bag.findall(f"{_RDF}li")


# JSON -----------------------------------------------------------------------------------------


def _of_json(text: bytes, source: Path, photo: Path) -> Tags:
    """`people` of Google Takeout, each with a name, and of Immich, with faces in px as well; and
    what Immich answers for a photo's faces: a list of them, each with its person.
    """
    try:
        held = json.loads(text)
        listed = _of_faces(held) if isinstance(held, list) else held["people"]
        people = [person for person in listed if isinstance(person, dict)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Tags()  # JSON of something else
    if people and not _belongs(held, source, photo):
        return Tags(faults=(f"it is of another photo, {held['title']!r}",))
    regions: list[Region] = []
    names: list[str] = []
    faults: list[str] = []
    size: tuple[int, int] | None = None
    for person in people:
        name, faces = person.get("name"), person.get("faces")
        called = " ".join(name.split()) if isinstance(name, str) else ""
        if isinstance(faces, list):
            for face in faces:
                box, drawn = _immich_box(face)
                size = size or drawn
                _add(called, box, regions, faults)
        elif called.casefold() in NOBODY or name_fault(called):
            faults.append(f"somebody who is called {called!r}: nobody's name")
        else:
            names.append(called)
    return Tags(_once(regions), tuple(dict.fromkeys(names)), size, tuple(faults))


def _of_faces(faces: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Immich's list of a photo's faces as people; a face of nobody has no person."""
    for face in faces:
        person = face.get("person") if isinstance(face, dict) else None
        if isinstance(person, dict):
            yield {"name": person.get("name"), "faces": [face]}


def _belongs(held: Any, source: Path, photo: Path) -> bool:
    """Two photos may share what is left of their names: then the title inside tells.

    Of it Takeout makes the photo's name: cut, and with `_` for what file systems do not take.
    """
    stem, _ = _numbered(photo.stem)
    title = held.get("title") if isinstance(held, dict) else None
    if source.name.startswith(stem) or not isinstance(title, str):
        return True
    whole, start = (re.sub(r"\W", "_", text) for text in (title, stem))
    return whole.startswith(start)


def _immich_box(face: Any) -> tuple[Box | None, tuple[int, int] | None]:
    """A face's place, and the size of what it was found in, the upright photo made smaller."""
    keys = ("boundingBoxX1", "boundingBoxY1", "boundingBoxX2", "boundingBoxY2",
            "imageWidth", "imageHeight")  # fmt: skip
    values = [face.get(key) for key in keys] if isinstance(face, Mapping) else [None]
    if not all(isinstance(value, int | float) for value in values):
        return None, None
    x1, y1, x2, y2, width, height = (float(value) for value in values if value is not None)
    if not (1 <= width < 1e6 and 1 <= height < 1e6):
        return None, None
    box = _box(x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height)
    return box, (round(width), round(height))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
