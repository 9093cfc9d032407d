"""Photos and clips alike: in order, of a clip the person seen longest first."""

from __future__ import annotations

from pathlib import Path

from support import clips
from support.clips import walk
from support.galleries import hopper

from facecli.common.types import FailureToAcquire, Photo
from facecli.evaluation import run
from facecli.evaluation.plan import read_plan
from facecli.recognition.pipeline import Extractor
from facecli.video.probes import photos_and_clips


def test_in_order_and_the_longest_first(extractor: Extractor, tmp_path: Path) -> None:
    both = walk(clips.eileen(), 4, 0.3, 0.4) + walk(clips.grace(), 9, 0.6, 0.7, 1)
    clip = clips.write(tmp_path / "x.mp4", both)
    (tmp_path / "bad.mp4").write_bytes(clip.read_bytes()[:300])
    paths = [hopper(), clip, tmp_path / "bad.mp4", hopper()]
    photo, moving, failure, again = photos_and_clips(extractor, paths)
    assert isinstance(photo, Photo) and isinstance(moving, Photo) and isinstance(again, Photo)
    assert isinstance(failure, FailureToAcquire)
    longest, other = moving.faces
    own = photo.faces[0].template.vector
    assert float(longest.template.vector @ own) > 0.6 > float(other.template.vector @ own)
    assert len(moving.sha256) == 64 and photo.sha256 == again.sha256


def test_an_evaluation_takes_clips_as_probes_and_strangers(
    extractor: Extractor, tmp_path: Path
) -> None:
    for folder, person in (("gallery/Grace", None), ("mated/Grace", clips.grace()),
                           ("strangers/Eileen", clips.eileen())):  # fmt: skip
        (tmp_path / folder).mkdir(parents=True)
        if person is None:
            (tmp_path / folder / "a.jpg").write_bytes(hopper().read_bytes())
        else:
            clips.write(tmp_path / folder / "clip.mp4", walk(person, 5, 0.4, 0.6))
    result = run.evaluate(extractor, read_plan(tmp_path), read=photos_and_clips)
    (whole,) = result.identification
    assert whole.rates is not None and result.failures == ()
    assert (whole.rates.fnir.errors, whole.rates.fnir.trials) == (0, 1)
    assert (whole.rates.fpir.errors, whole.rates.fpir.trials) == (0, 1)
