"""How many people a face resembles: against plain Python, and the table's say in it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecli.common.enums import Basis, Target
from facecli.common.errors import ModelError
from facecli.common.types import Crowd, OperatingPoint
from facecli.metrics import reference_table
from facecli.metrics.crowd import FIRST, LAST, NO_EFFECT, CrowdEffect, crowd, own_threshold
from facecli.metrics.face_kinds import Direction, FaceKind
from facecli.metrics.reference_table import ReferenceTable, from_json
from facecli.recognition.model_zoo import registry
from facecli.threshold.operating_point import ThresholdInputs, at_fpir

SPEC = registry.find_embedder(registry.DEFAULT_EMBEDDER)
assert SPEC.table is not None
TABLE = reference_table.from_file(SPEC.table, SPEC.embedder_id)


@given(st.integers(1, 40), st.integers(0, 1000))
def test_the_crowd_is_the_mean_of_its_ranks(n: int, seed: int) -> None:
    scores = np.random.default_rng(seed).uniform(-1, 1, (5, n)).astype(np.float32)
    found = crowd(scores)
    for row, value in zip(scores, found, strict=True):
        ranks = sorted(map(float, row), reverse=True)[FIRST - 1 : LAST]
        if ranks:
            assert value == pytest.approx(sum(ranks) / len(ranks), abs=1e-6)
        else:
            assert np.isnan(value)


def test_the_crowd_is_from_the_third_to_the_tenth_or_those_there_are() -> None:
    scores = np.float32([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0, -0.9]])
    assert [crowd(scores[:, :n])[0] for n in (3, 4, 10, 11)] == pytest.approx(
        [0.7, 0.65, 0.35, 0.35]
    )
    assert np.isnan(crowd(scores[:, :2])).all()


def test_a_face_s_threshold_is_raised_by_the_crowd_it_resembles() -> None:
    by_hand = OperatingPoint(0.4, Basis.BY_HAND, Target.NONE, *[math.nan] * 4, 20, "e", "")
    point = replace(by_hand, crowd=Crowd(0.5, 0.1))
    ranked = [0.9, 0.8, *[0.3] * 8, -0.9]
    assert own_threshold(point, ranked) == pytest.approx(0.4 + 0.5 * 0.2)
    assert own_threshold(point, ranked[:3]) == pytest.approx(0.4 + 0.5 * 0.2)
    assert own_threshold(point, ranked[:2]) == 0.4, "two candidates are no crowd"
    assert own_threshold(by_hand, ranked) == 0.4


def test_without_effects_nothing_is_moved_or_stretched() -> None:
    assert CrowdEffect(1, 0.0, 0.0, 0.0, 1.0, 1.0) == NO_EFFECT
    assert replace(TABLE, effects=()).effect(50) == NO_EFFECT


def test_the_best_two_scores_are_not_the_crowd() -> None:
    """Nor is a second name of the same person."""
    scores = np.linspace(0.4, 0.1, 20, dtype=np.float32)[None]
    higher = scores.copy()
    higher[0, :2] = 0.99
    assert crowd(higher)[0] == crowd(scores)[0]


def test_between_the_rows_the_effect_is_between_them() -> None:
    low, high = (next(row for row in TABLE.effects if row.n == n) for n in (50, 75))
    assert TABLE.effect(50) == low
    middle = TABLE.effect(60)
    assert low.slope < middle.slope < high.slope
    assert low.likeness < middle.likeness < high.likeness
    assert TABLE.effect(1) == NO_EFFECT and NO_EFFECT.crowd is None
    assert TABLE.effect(3).crowd is None, "three people are no crowd"


def test_beyond_the_rows_the_likeness_goes_on() -> None:
    last = TABLE.effects[-1]
    far = TABLE.effect(100_000)
    assert (far.slope, far.stretch) == (last.slope, last.stretch)
    assert far.likeness > last.likeness + 0.1
    assert TABLE.effect(last.n + 1).likeness == pytest.approx(last.likeness, abs=1e-3)


def test_a_shifted_population_has_shifted_crowds_and_moved_scores_have_not() -> None:
    shifted, mapped = TABLE.shifted(0.05, "x"), TABLE.mapped(0.0, 0.05, 1.0)
    assert shifted.effect(50).likeness == pytest.approx(TABLE.effect(50).likeness + 0.05)
    assert mapped.effect(50).likeness == TABLE.effect(50).likeness
    assert (mapped.effect(50).centre, mapped.effect(50).stretch) == (0.0, 1.0)


def test_effects_are_kept_in_the_file() -> None:
    assert from_json(TABLE.to_json()) == TABLE
    assert TABLE.embedder_id == SPEC.embedder_id
    assert [row.n for row in TABLE.effects[:3]] == [2, 3, 5]


@pytest.mark.parametrize(
    "rows",
    [
        (CrowdEffect(5, float("nan"), 0, 0, 1, 1),),
        (CrowdEffect(5, 1, 0, 0, 0, 1),),
        (CrowdEffect(5, 1, 0, 0, 1, -1),),
        (CrowdEffect(5, 1, 0, 0, 1, 1), CrowdEffect(5, 1, 0, 0, 1, 1)),
        (CrowdEffect(0, 1, 0, 0, 1, 1),),
    ],
)
def test_effects_that_cannot_be_are_refused(rows: tuple[CrowdEffect, ...]) -> None:
    with pytest.raises(ModelError, match="not a reference table"):
        from_json(replace(TABLE, effects=rows).to_json())


@pytest.mark.parametrize("name", ["", "mobilefacenet-arcface:0:p1"])
def test_a_table_of_another_embedder_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "table.json"
    path.write_text(replace(TABLE, embedder_id=name).to_json(), encoding="utf-8")
    assert isinstance(reference_table.from_file(path, name), ReferenceTable)
    with pytest.raises(ModelError, match="its scores would not fit"):
        reference_table.from_file(path, SPEC.embedder_id)


def test_the_same_embedder_under_another_name_has_the_same_scores() -> None:
    assert SPEC.table is not None
    _, rest = SPEC.embedder_id.split(":", 1)
    assert reference_table.from_file(SPEC.table, f"mine:{rest}") == TABLE


KIND = FaceKind((Direction.towards(np.array([3.0, 4.0]), 0, 0.5),), "two", 0.2)


def test_whom_the_share_is_taken_off_is_kept_in_the_file() -> None:
    rows = TABLE.crowding_effects
    assert TABLE.crowding is not None and [row.n for row in rows] == [r.n for r in TABLE.effects]
    assert from_json(TABLE.to_json()) == TABLE
    table = replace(TABLE, crowding=KIND)
    assert from_json(table.to_json()).crowding == KIND
    assert TABLE.deciding_effect(50) == next(row for row in rows if row.n == 50)
    assert TABLE.deciding_effect(50).slope > TABLE.effect(50).slope, "steeper, off fewer"
    everybody = TABLE.off_all()
    assert everybody.deciding_effect(50) == everybody.effect(50) == TABLE.effect(50)
    assert "crowding" not in everybody.to_json() and from_json(everybody.to_json()) == everybody


@pytest.mark.parametrize(
    "crowding", [{}, {"directions": []}, {"directions": [{"vector": [0], "other": 0, "same": 1}]},
                 {**KIND.facts(), "least": 2}, 3, None],
)  # fmt: skip
def test_a_kind_that_cannot_be_is_refused(crowding: object) -> None:
    facts = {**json.loads(TABLE.to_json()), "crowding": crowding}
    with pytest.raises(ModelError, match="not a reference table"):
        from_json(json.dumps(facts))
    rows = [list(row) for row in json.loads(TABLE.to_json())["crowding_effects"]]
    rows[3][4] = -1
    facts = {**json.loads(TABLE.to_json()), "crowding_effects": rows}
    with pytest.raises(ModelError, match="not the effects of a crowd"):
        from_json(json.dumps(facts))


def test_a_face_s_own_threshold_moves_as_far_as_it_is_of_the_kind() -> None:
    point = at_fpir(ThresholdInputs("e", 50, TABLE), 0.01)
    assert point.crowd is not None
    ranked = [0.6, 0.5, *[point.crowd.likeness + 0.1] * 8]
    whole = own_threshold(point, ranked) - point.threshold
    assert whole == pytest.approx(0.1 * point.crowd.slope)
    for kind in (0.0, 0.4, 1.0):
        assert own_threshold(point, ranked, kind) - point.threshold == pytest.approx(kind * whole)
    moved = TABLE.shifted(0.05, "moved").deciding_effect(50)
    assert moved.likeness == pytest.approx(TABLE.deciding_effect(50).likeness + 0.05)
    mapped = TABLE.mapped(0.1, 0.2, 1.5).deciding_effect(50)
    assert (mapped.centre, mapped.spread, mapped.stretch) == (0, 1, 1)
    assert mapped.slope == TABLE.deciding_effect(50).slope
