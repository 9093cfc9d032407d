"""A gallery in Milvus and one in a file: the same commands, the same answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.galleries import (
    DIMENSION,
    EMBEDDER,
    Command,
    collins,
    hopper,
    reference,
    unit_vector,
    write_variants,
)

from facecli.common.errors import EmbedderMismatchError, GalleryError
from facecli.metrics.gallery_fit import MOST_PROBES, Observed
from facecli.storage import copying, opening
from facecli.storage.interface import Called, Group, Storage
from facecli.storage.milvus import layout
from facecli.storage.milvus.layout import REFERENCES
from facecli.storage.records import CalibrationRow, Refiled

pytestmark = pytest.mark.milvus

OWN = ("reference", "created_at", "made_at")
ODD = 'Zoë "Q" O\'Hara \\ ] or 1 == 1'
CHOICES = tuple(
    CalibrationRow("set by hand", "none", None, t, None, "by the user", f"2026-01-0{i}T00:00:00Z")
    for i, t in enumerate((0.4, 0.5), 1)
)


def create(path: Path) -> Storage:
    return opening.create_storage(path, EMBEDDER, DIMENSION)


def fill(storage: Storage, people: int = 30) -> None:
    """People with one to three references each, two threshold choices, what was observed."""
    for start in (0, 100, 200):
        storage.add([reference(f"p{i}", start + i) for i in range(people - start // 10)])
    for choice in CHOICES:
        storage.calibrate(choice)
    # as many scores as are ever kept
    scores = np.random.default_rng(0).uniform(-1, 1, (3, MOST_PROBES)).astype(np.float32)
    scores[2] = np.abs(scores[2]) + 0.01  # shares of a person
    storage.keep_observed(storage.reader.observed()[0], Observed.of(30, *scores))


def without_ids(value: Any) -> Any:
    """Of JSON: what must be the same in every gallery of the same photos."""
    if isinstance(value, dict):
        return {k: without_ids(v) for k, v in value.items() if k not in OWN}
    return [without_ids(item) for item in value] if isinstance(value, list) else value


def test_every_command_answers_as_with_a_gallery_file(place: Callable[[], Path], tmp_path: Path):
    command = Command(tmp_path)
    write_variants(tmp_path / "p" / "Grace", hopper(), 3, width=160)
    write_variants(tmp_path / "p" / "Eileen", collins(), 1, width=160)
    write_variants(tmp_path / "q", hopper(), 2, first=50, width=160)
    answers = []
    for gallery in (tmp_path / "file", place()):
        asked = [
            ("enroll", tmp_path / "p", "--json"), ("gallery", "rename", "Eileen", "Eileen C."),
            ("identify", tmp_path / "q", collins(), "--json"), ("threshold", "--json"),
            ("gallery", "remove", "Eileen C."), ("gallery", "list", "--json"),
        ]  # fmt: skip
        ran = [command(*words, "--gallery", gallery) for words in asked]
        assert [done.returncode for done in ran] == [0] * len(ran), ran
        texts = [done.stdout for done in ran]
        answers.append([without_ids(json.loads(t)) if t[0] in "[{" else t for t in texts])
    for of_file, of_milvus in zip(*answers, strict=True):
        assert of_milvus == of_file


def test_a_letter_that_nobody_sees_makes_no_second_person(
    place: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
):
    """Nor in a gallery of before 0.3, whose rows have it in their hashes."""
    joined, unjoined = "گل\u200cمحمدی", "گلمحمدی"
    with closing(create(place())) as storage:
        with monkeypatch.context() as before:
            before.setattr(layout, "name_hash", layout.name_hash_before)
            storage.add([reference(joined, 1)])
        assert storage.reader.find(joined).references == 1
        assert storage.add([reference(joined, 1), reference(joined, 2)]) == 1
        assert storage.add([reference(unjoined, 1), reference(unjoined, 3)]) == 1
        assert [(s.name, s.references) for s in storage.reader.subjects()] == [(joined, 3)]
        assert storage.reader.find(unjoined).name == joined


def test_people_are_renamed_merged_and_removed(place: Callable[[], Path]):
    with closing(create(place())) as storage:
        storage.add([reference("Ada", 1), reference("Ada", 2), reference("Bob", 3)])
        assert storage.add([reference("Ada", 1), reference(ODD, 4), reference(ODD, 4)]) == 1
        assert [(s.name, s.references) for s in storage.reader.subjects()] == [
            ("Ada", 2),
            ("Bob", 1),
            (ODD, 1),
        ]
        with storage.rehearsal():
            storage.rename(ODD, "Zoe")
            storage.remove("Bob")
        storage.rename(ODD, ODD + "!")
        assert storage.reader.find(ODD + "!").references == 1
        with pytest.raises(GalleryError, match="already"):
            storage.rename("Ada", "Bob")
        storage.add([reference("Bob", 9, photo=1)])  # a face that Ada has, too
        assert storage.merge("Bob", "Ada") == 1
        ids = [r.id for r in storage.reader.references(storage.reader.find("Ada").id)]
        assert len(ids) == 3
        assert storage.remove_reference("Ada", ids[0]) == 2
        assert storage.reader.counts() == (2, 3)
        assert storage.reader.subject_count() == 2
        assert storage.reader.faults() == []
        mean = unit_vector(2) + unit_vector(3)
        best = storage.reader.ranker(False, 0.5).candidates(mean / np.linalg.norm(mean), 5)
        assert (best[0].subject, round(best[0].score, 5)) == ("Ada", 1)
        with pytest.raises(GalleryError, match="nobody called 'Bob'"):
            storage.remove("Bob")


def test_who_is_distinct_follows_them_as_in_a_file(place: Callable[[], Path], tmp_path: Path):
    with (
        closing(create(tmp_path / "file")) as file,
        closing(create(place())) as milvus,
        closing(create(tmp_path / "copy")) as copy,
    ):
        for storage in (file, milvus):
            storage.add([reference(name, i) for i, name in enumerate("ABCD")])
            storage.distinct("A", "B")
            storage.distinct("B", "A")
            storage.distinct("D", "B")
            with pytest.raises(GalleryError, match="the same subject"):
                storage.distinct("A", "A")
            with pytest.raises(GalleryError, match="nobody said that 'A' and 'C'"):
                storage.distinct("A", "C", forget=True)
            with storage.rehearsal():
                storage.distinct("A", "C")
        assert names(file) == names(milvus) == {("A", "B"), ("B", "D")}
        seen = [storage.reader.observe() for storage in (file, milvus)]
        assert seen[0] and seen[1] and seen[0].scores == seen[1].scores
        copying.copy(milvus, copy)
        assert names(copy) == names(file)
        for storage in (file, milvus):
            storage.merge("A", "C")
        assert names(file) == names(milvus) == {("B", "C"), ("B", "D")}
        for storage in (file, milvus):
            storage.merge("C", "B")
            storage.distinct("B", "D", forget=True)
            storage.distinct("B", "D")
        assert names(file) == names(milvus) == {("B", "D")}
        for storage in (file, milvus):
            storage.remove("D")
        assert names(file) == names(milvus) == set()


def names(storage: Storage) -> set[tuple[str, ...]]:
    return {tuple(sorted((a.name, b.name))) for a, b in storage.reader.distinct()}


def test_a_copy_is_the_same_either_way_and_gives_the_same_answers(
    place: Callable[[], Path], tmp_path: Path
):
    with (
        closing(create(tmp_path / "file")) as file,
        closing(create(place())) as milvus,
        closing(create(tmp_path / "back")) as back,
    ):
        fill(file)
        first = copying.copy(file, milvus)
        assert first.added == first.contents.references == 60
        assert first.contents == copying.contents(file.reader)
        assert copying.copy(file, milvus).added == 0
        assert copying.copy(milvus, back).contents == first.contents
        assert milvus.reader.calibrations() == back.reader.calibrations() == CHOICES
        assert milvus.reader.observed()[1] == file.reader.observed()[1]
        probes = [unit_vector(seed) * 0.6 + unit_vector(seed + 7) * 0.8 for seed in range(40)]
        probes = [(p / np.linalg.norm(p)).astype(np.float32) for p in probes]
        wanted = [file.reader.ranker(False, 0.5).candidates(probe, 5) for probe in probes]
        for storage in (milvus, back):
            assert [
                storage.reader.ranker(False, 0.5).candidates(probe, 5) for probe in probes
            ] == wanted
        milvus.add([reference("another", 999)])
        with pytest.raises(GalleryError, match="'another'"):
            copying.copy(file, milvus)


def test_a_copy_that_was_interrupted_goes_on(place: Callable[[], Path], tmp_path, monkeypatch):
    monkeypatch.setattr(copying, "AT_ONCE", 16)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    path = place()
    with closing(create(tmp_path / "file")) as file:
        fill(file)
        with closing(create(path)) as milvus, pytest.raises(KeyboardInterrupt):
            copying.copy(file, milvus, interrupt)
        for opened in (opening.open_storage, create):  # half a copy looks like a whole gallery
            with pytest.raises(GalleryError, match=r"not finished.*`facecli gallery copy` again"):
                opened(path)
        with closing(opening.create_storage(path, EMBEDDER, DIMENSION, to_copy=True)) as milvus:
            assert milvus.reader.counts()[1] == 16
            assert copying.copy(file, milvus).added == 44
            assert copying.copy(file, milvus).added == 0
    with closing(opening.open_storage(path)) as whole:
        assert whole.reader.counts() == (30, 60)
        assert whole.add([reference("Ada", 1)]) == 1  # enrolling makes it no copy again
    create(path).close()


def test_a_photo_that_moved_or_was_edited_is_noted_as_in_a_file(
    place: Callable[[], Path], tmp_path: Path
):
    """Only of that subject, and not where the photo of those bytes is enrolled already."""

    def sha(number: int) -> str:
        return f"{number:064x}"

    for path in (tmp_path / "file", place()):
        with closing(create(path)) as storage:
            storage.add([reference("Ada", 1), reference("Ada", 2), reference("Ada", 3)])
            storage.add([reference("Bob", 4, photo=1)])
            before = list(storage.reader.references())
            noted = [
                Refiled("Ada", sha(1), "new/1.jpg", sha(1)),  # moved
                Refiled("Ada", sha(2), "new/2.jpg", sha(9)),  # edited
                Refiled("Ada", sha(3), "new/3.jpg", sha(1)),  # what she has already
                Refiled("Ada", sha(7), "new/7.jpg", sha(8)), Refiled("Eve", sha(1), "x", sha(1)),
            ]  # fmt: skip
            with storage.rehearsal():
                storage.refile(noted)
            assert [r.path for r in storage.reader.references()] == [r.path for r in before]
            storage.refile(noted)
            after = list(storage.reader.references())
            assert [(r.path, r.photo_sha256) for r in after] == [
                ("new/1.jpg", sha(1)), ("new/2.jpg", sha(9)), ("photos/Ada/3.jpg", sha(3)),
                ("photos/Bob/1.jpg", sha(1)),
            ]  # fmt: skip
            for old, new in zip(before, after, strict=True):
                assert (new.id, new.subject, new.face.box) == (old.id, old.subject, old.face.box)
                assert new.template.vector.tobytes() == old.template.vector.tobytes()
            assert storage.reader.faults() == []


def test_another_model_is_refused_and_so_is_what_only_files_have(place: Callable[[], Path]):
    path = place()
    create(path).close()
    with pytest.raises(EmbedderMismatchError, match="other:1"):
        opening.create_storage(path, "other:1:p", DIMENSION)
    with closing(opening.open_storage(path)) as storage:
        for ask in (
            lambda: opening.file_of(storage, "undo"),
            lambda: storage.reader.ranker(True, 0.5),
        ):
            with pytest.raises(GalleryError, match="gallery copy"):
                ask()
    with pytest.raises(GalleryError, match="no gallery"):
        opening.open_storage(place())


def test_purge_deletes_what_nobody_lists_and_says_what_it_cannot_prove(place: Callable[[], Path]):
    with closing(create(place())) as storage:
        fill(storage, people=21)
        ids = {r.id for r in storage.reader.references(storage.reader.find("p3").id)}
        stray = reference_row(storage, 17)
        storage.client.insert(REFERENCES, [stray])  # as a killed enrolment leaves it
        assert any("no subject lists" in fault for fault in storage.reader.faults())
        assert storage.doomed(Called("p3")).references == len(ids) == 2
        done = storage.erase(Called("p3"))
        assert not done.failed
        assert not done.complete
        assert done.unproven
        assert storage.client.get(REFERENCES, tuple(ids), ["id"]) == []
        assert storage.reader.counts()[0] == 20
        others = storage.erase(Group.EVERYBODY).deleted
        assert others.people == {f"p{i}" for i in range(21)} - {"p3"}
        assert storage.client.get(REFERENCES, [stray["id"]], ["id"]) == []
        assert storage.reader.faults() == []
        assert storage.reader.counts() == (0, 0)


def reference_row(storage: Storage, number: int) -> dict[str, Any]:
    """A reference's row with a low id, which makes it an old one."""
    row = next(iter(storage.client.pages(REFERENCES, ["*"])))[0]
    return {**row, "id": number, "photo": "f" * 64}
