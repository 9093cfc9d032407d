"""Regions given to faces: upright by either convention, one to one, and nothing guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tags import stored

from facecli.datasets.matching import Matched, match, upright
from facecli.datasets.regions import Box, Region, Tags

SIZE = (400, 200)
LEFT, RIGHT = (40.0, 50.0, 100.0, 130.0), (250.0, 40.0, 320.0, 120.0)  # px


def share(box: Box, size: tuple[int, int] = SIZE) -> Box:
    return box[0] / size[0], box[1] / size[1], box[2] / size[0], box[3] / size[1]


def around(face: Box, *, grown: float = 1.0, right: float = 0.0, down: float = 0.0) -> Box:
    """A region drawn by hand: larger or smaller, and moved by shares of its size."""
    width, height = face[2] - face[0], face[3] - face[1]
    x, y = (face[0] + face[2]) / 2 + right * width, (face[1] + face[3]) / 2 + down * height
    return share((x - grown * width / 2, y - grown * height / 2,
                  x + grown * width / 2, y + grown * height / 2))  # fmt: skip


def tags(*regions: tuple[str, Box], size: tuple[int, int] | None = None) -> Tags:
    return Tags(tuple(Region(name, box) for name, box in regions), size=size)


def named(found: Matched) -> dict[int, str]:
    return dict(found.named)


@pytest.mark.parametrize("grown", [0.7, 1.0, 2.2])
@pytest.mark.parametrize("moved", [(0.2, 0.2), (-0.2, 0.2), (0.0, -0.2)])
def test_a_loose_region_finds_its_face(grown: float, moved: tuple[float, float]) -> None:
    right, down = moved
    found = match(
        tags(("Bob", around(RIGHT, grown=grown, right=right, down=down)), ("Ada", around(LEFT))),
        [LEFT, RIGHT], SIZE, 1,
    )  # fmt: skip
    assert named(found) == {0: "Ada", 1: "Bob"} and found.faults == ()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("as_stored", [True, False])
@pytest.mark.parametrize("told", [True, False])
def test_both_conventions_are_recognised(orientation: int, as_stored: bool, told: bool) -> None:
    boxes = [share(LEFT), share(RIGHT)]
    if as_stored:
        boxes = [stored(box, orientation) for box in boxes]
    drawn = SIZE[::-1] if as_stored and orientation >= 5 else SIZE
    found = match(
        tags(("Ada", boxes[0]), ("Bob", boxes[1]), size=drawn if told else None),
        [LEFT, RIGHT], SIZE, orientation,
    )  # fmt: skip
    assert named(found) == {0: "Ada", 1: "Bob"}


@given(st.tuples(*[st.floats(0, 1)] * 4), st.integers(1, 8))
def test_upright_undoes_what_is_stored(box: Box, orientation: int) -> None:
    assert upright(stored(box, orientation), orientation) == pytest.approx(box, abs=1e-12)


def test_where_both_ways_fit_other_faces_nobody_is_named() -> None:
    """Two faces that change places when the photo is turned round, and no size that tells."""
    one, other = (50.0, 50.0, 110.0, 110.0), (290.0, 90.0, 350.0, 150.0)
    found = match(tags(("Ada", share(one))), [one, other], SIZE, 3)
    assert found.named == () and "as it is shown" in dict(found.faults)["Ada"]
    alone = match(tags(("Ada", share(one))), [one], SIZE, 3)
    assert named(alone) == {0: "Ada"}


def test_a_region_without_a_face_is_told() -> None:
    found = match(
        tags(("Ada", around(LEFT)), ("Bob", (0.9, 0.8, 0.99, 0.95))), [LEFT, RIGHT], SIZE, 1
    )
    assert named(found) == {0: "Ada"} and dict(found.faults) == {"Bob": "no face was found there"}
    assert match(tags(("Ada", around(LEFT))), [], SIZE, 1).named == ()


def test_two_names_on_one_face_are_neither_s() -> None:
    found = match(
        tags(("Ada", around(LEFT)), ("Eva", around(LEFT, right=0.2)), ("Bob", around(RIGHT))),
        [LEFT, RIGHT], SIZE, 1,
    )  # fmt: skip
    assert named(found) == {1: "Bob"}
    assert set(dict(found.faults)) == {"Ada", "Eva"}
    assert "the names 'Ada' and 'Eva'" in dict(found.faults)["Ada"]
    twice = match(
        tags(("Ada", around(LEFT)), ("ada".title(), around(LEFT, grown=1.5))), [LEFT], SIZE, 1
    )
    assert named(twice) == {0: "Ada"} and twice.faults == ()


def test_one_name_on_two_faces_is_neither_s() -> None:
    found = match(tags(("Ada", around(LEFT)), ("Ada", around(RIGHT))), [LEFT, RIGHT], SIZE, 1)
    assert found.named == () and "several faces" in dict(found.faults)["Ada"]


def test_faces_close_together_are_told_apart_by_overlap() -> None:
    one, other = (100.0, 50.0, 160.0, 130.0), (120.0, 60.0, 180.0, 140.0)
    found = match(tags(("Bob", share(other)), ("Ada", share(one))), [one, other], SIZE, 1)
    assert named(found) == {0: "Ada", 1: "Bob"}


def test_a_sidecar_of_another_photo_is_told() -> None:
    found = match(tags(("Ada", around(LEFT)), size=(300, 400)), [LEFT], SIZE, 1)
    assert found.named == () and "of a picture of 300 x 400" in dict(found.faults)["Ada"]
    assert named(match(tags(("Ada", around(LEFT)), size=(4000, 2001)), [LEFT], SIZE, 1))


def test_a_name_without_a_place_counts_where_one_face_is() -> None:
    assert named(match(Tags(names=("Ada",)), [LEFT], SIZE, 1)) == {0: "Ada"}
    for names, faces in ((("Ada",), [LEFT, RIGHT]), (("Ada", "Bob"), [LEFT]), (("Ada",), [])):
        found = match(Tags(names=names), faces, SIZE, 1)
        assert found.named == () and len(found.faults) == len(names)
