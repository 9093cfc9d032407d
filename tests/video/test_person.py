"""The one person whom a clip shows: the best faces, or where another one is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support import clips
from support.clips import Actor, frame, walk

from facecli.common.enums import Reason
from facecli.common.types import FailureToAcquire
from facecli.recognition.pipeline import Extractor
from facecli.recognition.quality import DEFAULT_BAR
from facecli.video.person import faces_of_one_person


def test_the_best_faces_of_different_moments(extractor: Extractor, tmp_path: Path) -> None:
    shots = walk(clips.grace(), 6, 0.3, 0.4) + [frame()] * 8 + walk(clips.grace(), 6, 0.6, 0.7, 1)
    found = faces_of_one_person(extractor, clips.write(tmp_path / "x.mp4", shots), DEFAULT_BAR)
    assert isinstance(found, tuple) and len(found) == 3
    assert len({one.face.box for one in found}) == 3
    quality = [one.face.quality for one in found]
    assert quality == sorted(quality, reverse=True) and quality[-1] >= DEFAULT_BAR
    vectors = np.stack([one.template.vector for one in found])
    assert (vectors @ vectors.T).min() > 0.5


def test_two_people_are_refused_with_the_second_at_which(
    extractor: Extractor, tmp_path: Path
) -> None:
    grace, eileen = clips.grace(), clips.eileen()
    after = walk(grace, 8, 0.3, 0.4) + [frame()] * 2 + walk(eileen, 4, 0.6, 0.7, 1)
    refused = faces_of_one_person(extractor, clips.write(tmp_path / "x.mp4", after), DEFAULT_BAR)
    assert isinstance(refused, FailureToAcquire) and refused.reason is Reason.SEVERAL_FACES
    assert 2.0 <= float(refused.detail.split(" at ")[1].split(" s")[0]) <= 2.6


def test_a_person_and_their_double_on_screen_at_once_are_two(
    extractor: Extractor, tmp_path: Path
) -> None:
    grace = clips.grace()
    both = [frame(Actor(grace, x), Actor(grace, x + 0.5)) for x in np.linspace(0.2, 0.3, 6)]
    refused = faces_of_one_person(extractor, clips.write(tmp_path / "x.mp4", both), DEFAULT_BAR)
    assert isinstance(refused, FailureToAcquire) and refused.reason is Reason.SEVERAL_FACES


def test_nobody_and_nobody_seen_well(extractor: Extractor, tmp_path: Path) -> None:
    empty = clips.write(tmp_path / "x.mp4", [frame(scenery=i) for i in range(4)])
    small = [frame(Actor(clips.grace(), x, tall=0.14)) for x in (0.4, 0.45, 0.5)]
    poor = clips.write(tmp_path / "y.mp4", small)
    reasons = [faces_of_one_person(extractor, path, DEFAULT_BAR).reason for path in (empty, poor)]
    assert reasons == [Reason.NO_FACE, Reason.LOW_QUALITY]
