"""A short run of tests/support/fuzz_images.py, and that it would find what it looks for."""

from __future__ import annotations

import random

import numpy as np
import pytest
from support import fuzz_images as fuzz

from facecli.common.enums import Reason
from facecli.common.types import FailureToAcquire
from facecli.recognition import images

RUNS = 4_000
pytestmark = pytest.mark.filterwarnings("ignore::Warning:PIL")


def test_thousands_of_mutants_are_answered() -> None:
    told: list[str] = []
    fuzz.loop(RUNS, seed=0, tell=told.append)
    print(f"{RUNS:,} executions")
    assert told == ["run 0"]


def test_the_seeds_are_sound_and_mutants_reach_behind_the_header() -> None:
    """Otherwise the run would only show that nonsense is refused."""
    refused = [images.decode(data, "a") for data in fuzz.seeds()]
    assert [r.reason for r in refused if isinstance(r, FailureToAcquire)] == [Reason.UNREADABLE] * 2
    drawn = [data for data, _ in zip(fuzz.mutants(7), range(300), strict=False)]
    answers = [images.decode(data, "a", fuzz.MAX_PIXELS) for data in drawn]
    decoded = sum(isinstance(answer, np.ndarray) for answer in answers)
    assert 30 < decoded < 270
    assert drawn == [data for data, _ in zip(fuzz.mutants(7), range(300), strict=False)]


def test_a_wrong_answer_stops_the_run_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that no answer keeps is as good a fault as any."""
    monkeypatch.setattr(fuzz, "SLOWEST", -1.0)
    with pytest.raises(AssertionError) as caught:
        fuzz.loop(10, seed=0, tell=lambda _: None)
    assert "run 0 of seed 0" in caught.value.__notes__[0]


def test_junk_after_a_sound_photo_and_before_it() -> None:
    """What the first bytes say decides; nothing else is searched for a picture."""
    draw = random.Random(0)
    for _ in range(500):
        failure = images.decode(draw.randbytes(draw.randrange(200)), "a")
        assert isinstance(failure, FailureToAcquire)
        assert failure.reason in (Reason.NOT_AN_IMAGE, Reason.TRUNCATED)
