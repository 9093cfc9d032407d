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
from facecli.metrics.gallery_fit import Observed
from facecli.storage import copying, opening
from facecli.storage.interface import Vault
from facecli.storage.milvus.collections import REFERENCES
from facecli.storage.records import CalibrationRow

pytestmark = pytest.mark.milvus

OWN = ("reference", "created_at", "made_at")
ODD = 'Zoë "Q" O\'Hara \\ ] or 1 == 1'
CHOICES = tuple(
    CalibrationRow("set by hand", "none", None, t, None, "by the user", f"2026-01-0{i}T00:00:00Z")
    for i, t in enumerate((0.4, 0.5), 1)
)


def create(path: Path) -> Vault:
    return opening.of(path).create(path, EMBEDDER, DIMENSION, None)


def fill(vault: Vault, people: int = 30) -> None:
    """People with one to three references each, two threshold choices, what was observed."""
    for start in (0, 100, 200):
        vault.add([reference(f"p{i}", start + i) for i in range(people - start // 10)])
    for choice in CHOICES:
        vault.calibrate(choice)
    vault.keep_observed(vault.observed()[0], Observed(30, 0.3, 0.05, 60))


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


def test_people_are_renamed_merged_and_removed(place: Callable[[], Path]):
    with closing(create(place())) as vault:
        vault.add([reference("Ada", 1), reference("Ada", 2), reference("Bob", 3)])
        assert vault.add([reference("Ada", 1), reference(ODD, 4), reference(ODD, 4)]) == 1
        assert [(s.name, s.references) for s in vault.subjects()] == [
            ("Ada", 2),
            ("Bob", 1),
            (ODD, 1),
        ]
        with vault.rehearsal():
            vault.rename(ODD, "Zoe")
            vault.remove("Bob")
        vault.rename(ODD, ODD + "!")
        assert vault.find(ODD + "!").references == 1
        with pytest.raises(GalleryError, match="already"):
            vault.rename("Ada", "Bob")
        vault.add([reference("Bob", 9, photo=1)])  # a face that Ada has, too
        assert vault.merge("Bob", "Ada") == 1
        ids = [r.id for r in vault.references(vault.find("Ada").id)]
        assert len(ids) == 3
        assert vault.remove_reference("Ada", ids[0]) == 2
        assert vault.counts() == (2, 3)
        assert vault.subject_count() == 2
        assert vault.faults() == []
        mean = unit_vector(2) + unit_vector(3)
        best = vault.ranker(False, 0.5).candidates(mean / np.linalg.norm(mean), 5)
        assert (best[0].subject, round(best[0].score, 5)) == ("Ada", 1)
        with pytest.raises(GalleryError, match="nobody called 'Bob'"):
            vault.remove("Bob")


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
        assert first.contents == copying.contents(file)
        assert copying.copy(file, milvus).added == 0
        assert copying.copy(milvus, back).contents == first.contents
        assert milvus.calibrations() == back.calibrations() == CHOICES
        assert milvus.observed()[1] == file.observed()[1]
        probes = [unit_vector(seed) * 0.6 + unit_vector(seed + 7) * 0.8 for seed in range(40)]
        probes = [(p / np.linalg.norm(p)).astype(np.float32) for p in probes]
        wanted = [file.ranker(False, 0.5).candidates(probe, 5) for probe in probes]
        for vault in (milvus, back):
            assert [vault.ranker(False, 0.5).candidates(probe, 5) for probe in probes] == wanted
        milvus.add([reference("another", 999)])
        with pytest.raises(GalleryError, match="'another'"):
            copying.copy(file, milvus)


def test_a_copy_that_was_interrupted_goes_on(place: Callable[[], Path], tmp_path, monkeypatch):
    monkeypatch.setattr(copying, "AT_ONCE", 16)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with closing(create(tmp_path / "file")) as file, closing(create(place())) as milvus:
        fill(file)
        with pytest.raises(KeyboardInterrupt):
            copying.copy(file, milvus, interrupt)
        assert milvus.counts()[1] == 16
        assert copying.copy(file, milvus).added == 44


def test_another_model_is_refused_and_so_is_what_only_files_have(place: Callable[[], Path]):
    path = place()
    create(path).close()
    engine = opening.of(path)
    with pytest.raises(EmbedderMismatchError, match="other:1"):
        engine.create(path, "other:1:p", DIMENSION, None)
    with closing(engine.open(path, None)) as vault:
        for ask in (lambda: vault.file("undo"), lambda: vault.ranker(True, 0.5)):
            with pytest.raises(GalleryError, match="gallery copy"):
                ask()
    with pytest.raises(GalleryError, match="no gallery"):
        engine.open(place(), None)


def test_purge_deletes_what_nobody_lists_and_says_what_it_cannot_prove(place: Callable[[], Path]):
    with closing(create(place())) as vault:
        fill(vault, people=21)
        ids = {r.id for r in vault.references(vault.find("p3").id)}
        stray = reference_row(vault, 17)
        vault.client.insert(REFERENCES, [stray])  # as a killed enrolment leaves it
        assert any("no subject lists" in fault for fault in vault.faults())
        assert vault.doomed("p3", enrolled=False).references == len(ids) == 2
        done = vault.erase("p3", enrolled=False)
        assert not done.failed
        assert not done.complete
        assert done.unproven
        assert vault.client.get(REFERENCES, tuple(ids), ["id"]) == []
        assert vault.counts()[0] == 20
        others = vault.erase(None, enrolled=True).deleted
        assert others.people == {f"p{i}" for i in range(21)} - {"p3"}
        assert vault.client.get(REFERENCES, [stray["id"]], ["id"]) == []
        assert vault.faults() == []
        assert vault.counts() == (0, 0)


def reference_row(vault: Vault, number: int) -> dict[str, Any]:
    """A reference's row with a low id, which makes it an old one."""
    row = next(iter(vault.client.pages(REFERENCES, ["*"])))[0]
    return {**row, "id": number, "photo": "f" * 64}
