"""Folders that must be writable, and model files that must be whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from facecli.cli.doctor.diagnosis import Check, Part, Verdict, first_line
from facecli.common import places
from facecli.common.errors import FacecliError, ModelError
from facecli.recognition.model_zoo import registry
from facecli.recognition.model_zoo.specs import DetectorSpec, EmbedderSpec

Spec = EmbedderSpec | DetectorSpec


def folders() -> Iterator[Check]:
    for name, path in (("home", places.home()), ("cache", places.cache_home())):
        yield _folder(name, path)


def _folder(name: str, path: Path) -> Check:
    nearest = next(p for p in (path, *path.parents) if os.path.lexists(p))
    try:
        with tempfile.TemporaryFile(dir=nearest):
            files = [p for p in path.rglob("*") if p.is_file()]
            size = sum(p.stat().st_size for p in files)
    except OSError as error:
        detail = f"{path}: no file can be made there: {error.strerror or error}"
        fix = "set FACECLI_HOME to a folder you may write to"
        return Check(Part.FOLDERS, name, Verdict.FAULT, detail, fix)
    made = f"{size / 1e6:.1f} MB in {len(files)} files" if nearest == path else "not made yet"
    return Check(Part.FOLDERS, name, Verdict.OK, f"{path}: {made}")


def models() -> Iterator[Check]:
    try:
        specs: tuple[Spec, ...] = (registry.find_detector(), *registry.embedders())
        old = registry.superseded()
    except FacecliError as error:
        fix = "remove the folder named here, or install facecli again"
        yield Check(Part.MODELS, "descriptions", Verdict.FAULT, first_line(error), fix)
        return
    for spec in specs:
        terms = "" if spec.commercial_use else ", no commercial use known to be allowed"
        try:
            registry.read_verified(spec)
        except ModelError as error:
            yield Check(Part.MODELS, spec.name, Verdict.FAULT, first_line(error), _refetch(spec))
        else:
            yield Check(
                Part.MODELS, spec.name, Verdict.OK, f"sha256 as described; {spec.licence}{terms}"
            )
    for spec in old:
        detail = f"comes with facecli by now; the copy in {spec.path.parent} is not used"
        fix = f"rm -r '{spec.path.parent}'"
        yield Check(Part.MODELS, f"{spec.name}, as added", Verdict.NOTE, detail, fix)


def _refetch(spec: Spec) -> str:
    if spec.path.parent == registry.SHIPPED:
        return "pip install --force-reinstall --no-deps facecli"
    if spec.name in {known.spec.name for known in registry.known_models()}:
        return f"rm -r '{spec.path.parent}' && facecli models pull {spec.name}"
    return f"rm -r '{spec.path.parent}' && facecli models add FILE --name {spec.name}"
