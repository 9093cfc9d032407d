"""People are split, never their photos, and too few of them are refused with numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecli.common.errors import InputError
from facecli.training import people
from facecli.training.people import FEWEST_PANEL, FEWEST_STRANGERS, Panel


def groups(counts: list[int], prefix: str = "p", first: int = 0) -> dict[str, list[int]]:
    found, row = {}, first
    for i, count in enumerate(counts):
        found[f"{prefix}{i:04}"] = list(range(row, row + count))
        row += count
    return found


def rows_of(panel: Panel) -> set[int]:
    return {*panel.gallery, *panel.probes, *panel.strangers}


@given(st.integers(0, 50), st.integers(40, 90), st.integers(300, 340))
def test_nobody_is_in_two_parts_and_nobody_is_lost(seed: int, several: int, alone: int) -> None:
    own = groups([3] * several + [1] * alone)
    total = 3 * several + alone
    split = people.split(own, [True] * total, {}, {}, seed)
    parts = [set(split.train), rows_of(split.select), rows_of(split.report)]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert set().union(*parts) == set(range(total))
    whose = {row: name for name, rows in own.items() for row in rows}
    names = [{whose[row] for row in part} for part in parts]
    assert sum(map(len, names)) == several + alone
    for row, place in zip(split.report.probes, split.report.owners, strict=True):
        assert whose[row] == whose[split.report.gallery[place]]
    assert {whose[row] for row in split.train} == set(split.names)
    assert min(len(split.select.strangers), len(split.report.strangers)) >= FEWEST_STRANGERS


def test_the_same_seed_gives_the_same_and_another_another() -> None:
    own = groups([3] * 60 + [1] * 300)
    first, again, other = (people.split(own, [True] * 480, {}, {}, s) for s in (1, 1, 2))
    assert first == again != other


def test_people_of_the_judges_judge_and_all_others_are_trained_on() -> None:
    own, judges = groups([2] * 20 + [1] * 5), groups([2] * 12, "j", 45)
    strangers = groups([1] * 300, "s", 69)
    split = people.split(own, [True] * 369, judges, strangers, 0)
    assert len(split.names) == 20 and set(split.train) == set(range(40))
    assert rows_of(split.select) | rows_of(split.report) == set(range(45, 369))
    assert "not trained on: 5" in split.remarks[0]


def test_only_good_photos_are_enrolled_and_trained_on() -> None:
    own = groups([3] * 60 + [1] * 300)
    good = [row % 3 != 0 or row >= 180 for row in range(480)]
    split = people.split(own, good, {}, {}, 0)
    assert all(good[row] for row in (*split.train, *split.select.gallery, *split.report.gallery))
    assert any(not good[row] for row in split.report.probes), "they are searched for all the same"


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([5], "there is one person"),
        ([3] * 60, f"0 strangers to choose by, {FEWEST_STRANGERS} are needed"),
        ([3] * 6 + [1] * 400, f"1 people with two photos or more to choose by, {FEWEST_PANEL}"),
    ],
)
def test_too_few_are_refused_and_told_what_is_needed(counts: list[int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        people.split(groups(counts), [True] * sum(counts), {}, {}, 0)


def test_two_looks_of_one_photo_teach_as_far_as_strangers_can_be_spared() -> None:
    own = groups([3] * 60 + [1] * 600)
    total = 180 + 600
    good, twice = [row != 700 for row in range(total)], [row != 701 for row in range(total)]
    split = people.split(own, good, {}, {}, 0, twice)
    single = {row for row in split.train if row >= 180}
    assert len(single) == 300 and not single & {700, 701}, "300 strangers are needed"
    assert not single & (rows_of(split.select) | rows_of(split.report))
    assert min(len(split.select.strangers), len(split.report.strangers)) == FEWEST_STRANGERS
    more = people.split(own, good, {}, groups([1] * 500, "s", total), 0, [*twice, *[True] * 500])
    assert len([row for row in more.train if row >= 180]) == 360, "their share, as of the others"
    assert not {row for row in more.train if row >= total}, "strangers stay strangers"
    plain = people.split(own, good, {}, {}, 0)
    assert not [row for row in plain.train if row >= 180]


def test_with_judges_all_whose_photo_has_two_looks_are_trained_on() -> None:
    own, judges = groups([2] * 20 + [1] * 5), groups([2] * 12, "j", 45)
    strangers = groups([1] * 300, "s", 69)
    split = people.split(own, [True] * 369, judges, strangers, 0, [row != 41 for row in range(369)])
    assert set(split.train) == set(range(45)) - {41}
    assert "not trained on: 1" in split.remarks[0]
