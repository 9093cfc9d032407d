"""The gallery: is it whole, who is in it, and which threshold is in force?"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from facecli.cli.doctor.diagnosis import BROKEN, Check, Part, Verdict, first_line
from facecli.common.errors import CalibrationError, FacecliError, GalleryError

if TYPE_CHECKING:
    from facecli.gallery.gallery import Gallery


def enrolled(named: Path | None, key_file: str | None = None) -> Iterator[Check]:
    try:
        from facecli.common.places import default_gallery
        from facecli.gallery.gallery import Gallery
        from facecli.storage import keys, opening
    except BROKEN as error:
        yield Check(Part.GALLERY, "file", Verdict.NOTE, f"not opened: {first_line(error)}")
        return
    path = named or default_gallery()
    mend = f"facecli gallery check --repair --gallery '{path}', or put a backup back"
    try:
        key = None if key_file is None else keys.read_key(key_file)
        if named is None and not opening.present(path, key):
            detail = f"{path}: nobody is enrolled yet"
            yield Check(Part.GALLERY, "file", Verdict.NOTE, detail, "facecli enroll PHOTOS")
            return
        with Gallery.open(path, key=key) as opened:
            yield from _opened(opened, path, mend)
    except GalleryError as error:
        yield Check(Part.GALLERY, "file", Verdict.FAULT, first_line(error), mend)


def _opened(opened: Gallery, path: Path, mend: str) -> Iterator[Check]:
    from facecli.storage.sqlite.connection import SCHEMA_VERSION

    info = opened.info()
    if faults := opened.storage.reader.faults():
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        yield Check(Part.GALLERY, "file", Verdict.FAULT, f"{path}: {faults[0]}{more}", mend)
    else:
        size = "" if info.bytes is None else f", schema {SCHEMA_VERSION}, {info.bytes / 1e6:.1f} MB"
        detail = f"{info.path}: sound{size}"
        yield Check(Part.GALLERY, "file", Verdict.OK, detail)
    on_disk = info.bytes is not None
    if on_disk and os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        detail = "others on this machine may read it, and it holds biometric data"
        yield Check(Part.GALLERY, "access", Verdict.NOTE, detail, f"chmod 600 '{path}'")
    detail = f"subjects {info.subjects:,}, references {info.references:,}"
    yield Check(Part.GALLERY, "people", Verdict.OK, detail)
    index = f"{info.index.kind}, {info.index.bytes / 1e6:.1f} MB"
    if info.index.asked:
        index += f", as brute force for {info.index.agreed} of {info.index.asked} probes"
    yield Check(Part.GALLERY, "index", Verdict.OK, index)
    yield _threshold(opened, info.embedder)


def _threshold(opened: Gallery, embedder: str) -> Check:
    try:
        point = opened.operating_point()
    except CalibrationError as error:
        fix = "facecli threshold --calibrate pairs.csv"
        return Check(Part.GALLERY, "threshold", Verdict.FAULT, first_line(error), fix)
    except FacecliError as error:
        name = embedder.split(":")[0]
        fix = f"facecli models pull {name}, or facecli models add FILE --name {name}"
        return Check(Part.GALLERY, "threshold", Verdict.FAULT, first_line(error), fix)
    aim = f"{point.target} {point.target_rate:g}" if point.target_rate else str(point.basis)
    detail = f"{point.threshold:.4f}, for {aim} ({point.basis}), embedder {embedder}"
    return Check(Part.GALLERY, "threshold", Verdict.OK, detail)
