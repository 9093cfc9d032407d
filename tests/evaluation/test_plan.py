"""Who is enrolled, searched for and a stranger: as laid out, or drawn with a seed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from facecli.common.errors import InputError, UsageError
from facecli.datasets.labels import LabelledPhoto
from facecli.evaluation.plan import PlanSource, read_plan


def people(folder: Path, sizes: dict[str, int]) -> Path:
    """A folder per person; the photos are empty, for nobody reads them here."""
    for name, count in sizes.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            (folder / name / f"{i}.jpg").touch()
    return folder


def names(photos: tuple[LabelledPhoto, ...]) -> Counter[str]:
    return Counter(photo.subject for photo in photos)


def test_a_split_keeps_people_and_photos_apart(tmp_path: Path) -> None:
    sizes = {f"several {i}": 4 for i in range(6)} | {f"single {i}": 1 for i in range(4)}
    plan = read_plan(people(tmp_path / "p", sizes), references=2)
    assert plan.source is PlanSource.SPLIT
    assert names(plan.gallery) == {name: 2 for name in sizes if name.startswith("several")}
    assert names(plan.mated) == names(plan.gallery)
    assert names(plan.strangers) == {name: 1 for name in sizes if name.startswith("single")}
    assert len(plan.photos) == 6 * 4 + 4  # each photo plays one part
    assert "with seed 0" in plan.description


def test_some_are_held_out_where_strangers_are_too_few(tmp_path: Path) -> None:
    folder = people(tmp_path / "p", {f"person {i}": 3 for i in range(9)})
    plans = [read_plan(folder, seed=seed) for seed in range(8)]
    for plan in plans:
        assert (len(names(plan.gallery)), len(names(plan.strangers))) == (6, 3)
        assert not names(plan.gallery).keys() & names(plan.strangers).keys()
        assert "(3 of them held out" in plan.description
    assert len({frozenset(names(plan.strangers)) for plan in plans}) > 1
    assert read_plan(folder, seed=3) == plans[3]


def test_nobody_outweighs_the_others(tmp_path: Path) -> None:
    plan = read_plan(people(tmp_path / "p", {"famous": 40, "known": 3, "rare": 1}))
    probes = names(plan.mated) + names(plan.strangers)
    assert max(probes.values()) <= 10


def test_more_references_than_photos_is_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = people(tmp_path / "p", {"a": 2, "b": 2})
    with pytest.raises(InputError, match="nobody has 3 photos"):
        read_plan(folder, references=2)
    with pytest.raises(UsageError, match="from 1"):
        read_plan(folder, references=0)


def test_laid_out_folders_are_taken_as_they_are_and_contradictions_left_out(tmp_path: Path) -> None:
    people(tmp_path / "gallery", {"Ada": 2, "Bo": 1})
    people(tmp_path / "mated", {"Ada": 2, "Nobody": 3})
    people(tmp_path / "strangers", {"Cy": 2, "Bo": 1})
    (tmp_path / "strangers" / "DSC_0001.jpg").touch()
    plan = read_plan(tmp_path)
    assert plan.source is PlanSource.FOLDERS
    assert (names(plan.gallery), names(plan.mated)) == ({"Ada": 2, "Bo": 1}, {"Ada": 2})
    assert names(plan.strangers) == {"Cy": 2, "": 1}
    told = "\n".join(plan.problems)
    assert "mated/: 3 photos of people who are not in gallery/" in told
    assert "1 photo of people who are in gallery/" in told


def test_without_strangers_it_says_so(tmp_path: Path) -> None:
    people(tmp_path / "gallery", {"Ada": 1})
    people(tmp_path / "mated", {"Ada": 1})
    assert "FPIR cannot be measured" in read_plan(tmp_path).problems[-1]
    (tmp_path / "mated" / "Ada" / "0.jpg").rename(tmp_path / "mated" / "Ada.txt")
    with pytest.raises(InputError):
        read_plan(tmp_path)
