"""The tests' folders mirror the rooms, and each file's name says which module it tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.places import ROOT, TESTS

OTHERS = {"data", "hostile", "models", "support", "system"}
ROOMS = {path.parent.name for path in (ROOT / "facecli").glob("*/__init__.py")}


def named_for_rooms() -> list[Path]:
    """Relative to tests/."""
    found = (path.relative_to(TESTS) for path in TESTS.rglob("test_*.py"))
    return sorted(path for path in found if path.parts[0] not in OTHERS)


def test_nothing_else_lies_at_the_top() -> None:
    top = {path.relative_to(TESTS).parts[0] for path in TESTS.rglob("*.py")}
    assert top <= ROOMS | OTHERS | {"conftest.py"}


@pytest.mark.parametrize("path", named_for_rooms(), ids=str)
def test_a_file_is_named_for_a_module_of_its_room_or_for_the_room(path: Path) -> None:
    room = ROOT / "facecli" / path.parent
    modules = [room.name, *(module.stem for module in room.iterdir())]
    tested = path.stem.removeprefix("test_")
    assert [m for m in modules if f"{tested}_".startswith(f"{m}_")] != []
