"""One person under two names is named at once, and people who merely enrolled are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.galleries import Command, collins, hopper, unit_vector, write_variants

from facecli import Gallery
from facecli.datasets.labels import LabelledPhoto
from facecli.evaluation.look_alikes import MOST_PEOPLE, LookAlikes, look_alikes
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition.model_zoo import registry
from facecli.storage.records import Subjects
from facecli.threshold.operating_point import built_in_table


@pytest.fixture(scope="module")
def table() -> ReferenceTable:
    built_in = built_in_table(registry.find_embedder("mobilefacenet-arcface"))
    assert built_in is not None
    return built_in


def crowd(n: int, *alike: tuple[int, int, float]) -> Subjects:
    """n people at right angles but those of `alike`, which have that cosine."""
    vectors = np.stack([unit_vector(i) for i in range(n)])
    basis = np.linalg.qr(vectors.T)[0].T[:n].astype(np.float32)
    for i, j, cosine in alike:
        basis[j] = cosine * basis[i] + np.sqrt(1 - cosine**2) * basis[j]
    return Subjects(tuple(range(n)), tuple(f"S{i}" for i in range(n)), basis)


def test_the_most_alike_come_first_and_others_not_at_all(table: ReferenceTable):
    found = look_alikes(crowd(50, (3, 7, 0.75), (1, 2, 0.9), (4, 5, 0.4)), table)
    assert [(p.first, p.second) for p in found] == [("S1", "S2"), ("S3", "S7")]
    assert [p.score for p in found] == pytest.approx([0.9, 0.75], abs=1e-5)


def test_who_was_said_to_be_two_people_is_left_out(table: ReferenceTable):
    people = crowd(50, (3, 7, 0.75), (1, 2, 0.9))
    found = look_alikes(people, table, {frozenset(("S2", "S1")), frozenset(("S3", "S9"))})
    assert [(p.first, p.second) for p in found] == [("S3", "S7")]


def test_nobody_is_named_among_few_or_very_many(table: ReferenceTable):
    assert look_alikes(crowd(1), table) == ()
    many = Subjects(
        tuple(range(MOST_PEOPLE + 1)), ("x",) * (MOST_PEOPLE + 1),
        np.ones((MOST_PEOPLE + 1, 1), np.float32),
    )  # fmt: skip
    assert look_alikes(many, table) == ()


def test_a_gallery_of_one_person_under_three_names_names_them(tmp_path: Path, extractor):
    write_variants(tmp_path / "p", hopper(), 3)
    photos = sorted((tmp_path / "p").iterdir())
    with Gallery.open(tmp_path / "g", create=True) as gallery:
        gallery.models.extractor = extractor
        gallery.enroll([LabelledPhoto(p, f"Name {i}") for i, p in enumerate(photos)])
        assert len(gallery.look_alikes()) == 3
        assert all(
            isinstance(pair, LookAlikes) and pair.score > 0.8 for pair in gallery.look_alikes()
        )
        kinds = [finding.kind for finding in gallery.audit().findings]
        assert kinds, "the audit finds what the note says it names"


def test_the_commands_name_them(tmp_path: Path):
    command = Command(tmp_path / "home")
    (tmp_path / "again.jpg").write_bytes(hopper().read_bytes())
    gallery = ("-g", tmp_path / "g")
    assert command("enroll", hopper(), "-s", "Grace", *gallery).stderr == ""
    assert command("enroll", collins(), "-s", "Eileen", *gallery).stderr == ""
    said = "facecli: Amazing and Grace look like one person, 1.000: if they are, `facecli gallery "
    again = command("enroll", tmp_path / "again.jpg", "-s", "Amazing", *gallery)
    assert again.stderr.startswith((said, said.replace("Amazing and Grace", "Grace and Amazing")))
    assert "look like one person" in command("threshold", *gallery).stderr
    other = command("enroll", collins(), "-s", "Eileen", *gallery)
    assert other.stderr == "", "told when it happens, not for ever"
