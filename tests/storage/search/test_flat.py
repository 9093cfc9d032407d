"""The index against numpy, on values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecli.common.types import Float32
from facecli.storage.search.flat import FlatIndex


def units(count: int, dimension: int, seed: int) -> Float32:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 320), st.integers(0, 2**32 - 1))
def test_scores_and_rows_are_numpys(count: int, probes: int, k: int, seed: int) -> None:
    templates, asked = units(count, 24, seed), units(probes, 24, seed + 1)
    index = FlatIndex(templates)
    scores, rows = index.search(asked, k)
    every = asked.astype(float) @ templates.T.astype(float)
    best = -np.sort(-every, axis=1)[:, :k]
    assert len(index) == count
    assert scores.shape == rows.shape == (probes, min(k, count))
    assert (scores.dtype, rows.dtype) == (np.float32, np.int64)
    assert scores == pytest.approx(best, abs=1e-5)
    assert np.take_along_axis(every, rows, axis=1) == pytest.approx(scores, abs=1e-5)
    assert all(len(set(row)) == len(row) for row in rows)


def test_ties_are_all_there() -> None:
    templates = np.repeat(units(3, 8, 0), 4, axis=0)
    scores, rows = FlatIndex(templates).search(templates[5:6], 12)
    assert list(rows[0][:4]) == [4, 5, 6, 7], "equal scores come in the order of rows"
    assert scores[0][:4] == pytest.approx(1, abs=1e-6)
    assert sorted(rows[0]) == list(range(12))
    assert (np.diff(scores[0]) <= 0).all()


@pytest.mark.parametrize("k", [-1, 0, 1, 5])
def test_nothing_to_search(k: int) -> None:
    scores, rows = FlatIndex(np.empty((0, 16), np.float32)).search(units(3, 16, 0), k)
    assert scores.shape == rows.shape == (3, 0)
    assert (scores.dtype, rows.dtype) == (np.float32, np.int64)


@pytest.mark.parametrize("k", [-3, 0])
def test_none_wanted(k: int) -> None:
    assert FlatIndex(units(5, 16, 0)).search(units(2, 16, 1), k)[1].shape == (2, 0)


def test_no_probes() -> None:
    assert FlatIndex(units(5, 16, 0)).search(np.empty((0, 16), np.float32), 3)[0].shape == (0, 3)


def test_rows_that_are_not_contiguous_or_not_float32() -> None:
    wide = units(40, 32, 0)
    scores, rows = FlatIndex(wide[::2, ::2]).search(wide[10:12, ::2].astype(np.float64), 1)
    every = wide[10:12, ::2] @ wide[::2, ::2].T
    assert rows[0, 0] == every[0].argmax()
    assert scores[:, 0] == pytest.approx(every.max(axis=1), abs=1e-5)
