"""A small child gets no name: a lead, with the reason, by every way to a name."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from support import clips
from support.galleries import collins, hopper, variant, write_variants

from facecli import Gallery
from facecli.common.enums import Outcome, Reason
from facecli.datasets.labels import LabelledPhoto, labelled
from facecli.evaluation.plan import read_plan
from facecli.evaluation.run import evaluate
from facecli.metrics.face_kinds import Direction, FaceKind
from facecli.recognition.pipeline import Extractor
from facecli.report.decisions import decisions_table, decisions_text, track_line, verification_text
from facecli.report.formats import OutputFormat
from facecli.storage.records import Subjects
from facecli.threshold.from_strangers import Stranger, search_strangers

CHILDREN = ("Tristan_Gretzky", "Marcus_Garrettson", "Grace_Dodd", "Malak_Habbak", "AnFernce_Negron")
"""Of lfw-dev."""


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another shot of Hopper."""
    path = tmp_path_factory.mktemp("shots") / "other.jpg"
    path.write_bytes(variant(hopper(), 1, 200))
    return path


@pytest.fixture(scope="module")
def knowing(extractor: Extractor, tmp_path_factory: pytest.TempPathFactory) -> Extractor:
    """One whose embedder takes Hopper for a small child, so that no child's photo is needed."""
    template = extractor.photo(hopper()).faces[0].template.vector
    path = tmp_path_factory.mktemp("kind") / "children.json"
    path.write_text(FaceKind((Direction.towards(template, 0.2, 0.6),), "Hopper").to_json())
    return Extractor(replace(extractor.spec, children=path), extractor.embedder, extractor.detector)


@pytest.fixture
def gallery(tmp_path: Path, knowing: Extractor):
    with Gallery.open(tmp_path / "g.facecli", create=True) as opened:
        opened.models.spec = knowing.spec
        opened.models.extractor = opened.models.lone_extractor = knowing
        opened.enroll([LabelledPhoto(hopper(), "Grace Hopper")])
        opened.enroll([LabelledPhoto(collins(), "Eileen Collins")])
        yield opened


def test_whoever_the_child_is_like_is_possible_and_the_others_are_named(
    gallery: Gallery, other: Path
) -> None:
    child, adult = gallery.identify([other, collins()])
    assert (child.outcome, child.subject) == (Outcome.POSSIBLE, None)
    assert [c.subject for c in child.possible] == ["Grace Hopper"]
    assert child.failure is not None and child.failure.reason is Reason.SMALL_CHILD
    assert math.isnan(child.false_alarm), "the table knows nothing of children"
    assert (adult.outcome, adult.subject) == (Outcome.IDENTIFIED, "Eileen Collins")
    assert adult.failure is None and not math.isnan(adult.false_alarm)


def test_a_person_is_told_why(gallery: Gallery, other: Path) -> None:
    found = list(gallery.identify([other]))
    why = "a small child's face: small children are alike to the embedder (likeness "
    table = decisions_table(found)
    assert f"perhaps Grace Hopper; {why}" in table
    assert "1 possible" in table and "false alarm" not in table
    (row,) = json.loads("".join(decisions_text(found, OutputFormat.JSON)))
    assert (row["decision"], row["subject"], row["false_alarm"]) == ("possible", None, None)
    assert row["reason"].startswith(why)
    assert [c["possible"] for c in row["candidates"]] == [True, False]


def test_a_child_in_a_clip_gets_no_name_either(gallery: Gallery, tmp_path: Path) -> None:
    clip = clips.write(tmp_path / "x.mp4", clips.walk(clips.grace(), 8, 0.3, 0.6))
    (child,) = gallery.identify([clip])
    assert child.probe.track is not None and child.probe.track.frames > 1
    assert (child.outcome, child.subject) == (Outcome.POSSIBLE, None)
    assert [c.subject for c in child.possible] == ["Grace Hopper"]
    line = track_line(child)
    assert re.match(r"00:00:00.000-\S+  possible  0\.\d{3}  perhaps Grace Hopper; a small ", line)


def test_a_threshold_set_by_hand_is_the_user_s_own_word(gallery: Gallery, other: Path) -> None:
    (by_hand,) = gallery.identify([other], threshold=0.5)
    assert (by_hand.outcome, by_hand.subject) == (Outcome.IDENTIFIED, "Grace Hopper")
    assert math.isnan(by_hand.false_alarm), "and still nothing is known of it"
    (by_rate,) = gallery.identify([other], fpir=0.05)
    assert by_rate.outcome is Outcome.POSSIBLE


def test_a_child_who_is_like_nobody_is_unknown_or_a_lead_where_leads_are_asked_for(
    gallery: Gallery, other: Path
) -> None:
    gallery.storage.remove("Grace Hopper")
    (unknown,) = gallery.identify([other])
    assert (unknown.outcome, unknown.failure) == (Outcome.UNKNOWN, None)


def test_comparing_two_photos_says_it_of_each(gallery: Gallery, other: Path) -> None:
    result = gallery.verify(other, collins())
    assert [(flaw.path, flaw.reason) for flaw in result.flaws] == [(str(other), Reason.SMALL_CHILD)]
    assert f"{other}: a small child's face: small children are alike" in verification_text(result)
    assert not gallery.verify(collins(), collins()).flaws


def test_a_stranger_who_is_a_child_moves_nobody_s_threshold(
    gallery: Gallery, knowing: Extractor, other: Path
) -> None:
    vector = knowing.photo(collins()).faces[0].template.vector
    people = [Stranger("child", (other,)), Stranger("adult", (other, collins()))]
    found = search_strangers(knowing, people, Subjects((1,), ("Ada",), vector[None]))
    assert [(s.person, s.path) for s in found.searches] == [("adult", str(collins()))]
    assert (found.people, found.photos, found.best.trials) == (2, 3, 2), "rejected"
    assert [f.reason for f in found.failures] == [Reason.SMALL_CHILD] * 2


def test_an_evaluation_counts_as_identify_does(
    knowing: Extractor, extractor: Extractor, tmp_path: Path
) -> None:
    for part, person, photo, first in (
        ("gallery", "Grace", hopper(), 0), ("gallery", "Eileen", collins(), 0),
        ("mated", "Grace", hopper(), 5), ("mated", "Eileen", collins(), 5),
    ):  # fmt: skip
        write_variants(tmp_path / part / person, photo, 2, first=first)
    plan = read_plan(tmp_path)
    (whole,) = evaluate(extractor, plan, 0.01).identification
    assert whole.rates is not None and (whole.rates.dir.errors, whole.rates.dir.trials) == (4, 4)
    told = evaluate(knowing, plan, 0.01)
    (whole,) = told.identification
    assert whole.rates is not None and (whole.rates.dir.errors, whole.rates.dir.trials) == (2, 4)
    assert "small children get no name, as by `identify`, and count as missed: 2 photos" in (
        told.remarks
    )
    assert not any("small children" in remark for remark in evaluate(extractor, plan).remarks)


def test_real_children_do_not_get_each_other_s_names(lfw: Path, tmp_path: Path) -> None:
    """All others reach the threshold of one who is enrolled among adults; none gets the name."""
    photos = lfw / "photos"
    adults = [p for p in sorted(photos.iterdir())[:40] if p.name not in CHILDREN]
    with Gallery.open(tmp_path / "g.facecli", create=True) as opened:
        opened.enroll([*labelled(adults).photos, *labelled([photos / CHILDREN[0]]).photos])
        others = [next((photos / name).glob("*_0001.jpg")) for name in CHILDREN[1:]]
        answers = [next(iter(opened.identify([path]))) for path in others]
    assert [d.subject for d in answers] == [None] * len(others)
    leads = [d for d in answers if d.outcome is Outcome.POSSIBLE]
    assert len(leads) >= 3 and {d.possible[0].subject for d in leads} == {CHILDREN[0]}
