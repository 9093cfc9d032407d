"""Better is said where it is so, and not where it may be chance."""

from __future__ import annotations

import numpy as np
import pytest

from facecli.training.measure import PanelTemplates, Verdict, compare, mean_angle, measure


def panel(noise: float, seed: int = 0, people: int = 40, strangers: int = 150) -> PanelTemplates:
    """Two photos of each person, in 32 dimensions; the same people for the same seed."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(people, 32))
    other = rng.normal(size=(strangers, 32))
    shots = [true + noise * rng.normal(size=true.shape) for _ in range(3)]
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (*shots, other)]
    gallery, *probes, far = (x.astype(np.float32) for x in unit)
    owners = np.tile(np.arange(people), 2)
    return PanelTemplates(gallery, np.concatenate(probes), owners, far)


def test_verdicts() -> None:
    assert compare("x", panel(1.2), panel(0.4)).verdict is Verdict.BETTER
    assert compare("x", panel(0.4), panel(1.2)).verdict is Verdict.WORSE
    same = compare("x", panel(1.0), panel(1.0))
    assert same.verdict is Verdict.SAME and same.dir.difference == 0
    assert compare("x", panel(1.0, people=8), panel(0.97, people=8)).verdict is Verdict.SAME


def test_a_face_that_was_not_found_is_missed_and_names_nobody() -> None:
    whole = panel(0.3)
    lost = PanelTemplates(
        whole.gallery, whole.probes * (np.arange(80) % 2)[:, None].astype(np.float32),
        whole.owners, whole.strangers * 0,
    )  # fmt: skip
    found = measure(lost)
    assert found.rates.dir.rate == pytest.approx(measure(whole).rates.dir.rate / 2, abs=0.06)
    assert found.rank_one.trials == 80 and found.rank_one.rate <= 0.5
    assert np.isnan(found.known[::2]).all() and np.isnan(found.unknown).all()
    assert found.rates.fpir.errors == 0 and len(found.nonmated) == 40 * 39


def test_the_mean_dir_is_of_one_ten_and_a_hundred_in_a_hundred_strangers_named() -> None:
    def at(cosines: np.ndarray, places: np.ndarray) -> np.ndarray:
        made = np.zeros((len(cosines), 21), np.float32)
        made[np.arange(len(cosines)), places] = cosines
        made[:, 20] = np.sqrt(1 - cosines**2)
        return made

    owners = np.arange(20)
    panel = PanelTemplates(
        np.eye(20, 21, dtype=np.float32), at((owners + 0.9) / 20, owners), owners,
        at(np.arange(100) / 100, np.zeros(100, int)),
    )  # fmt: skip
    found = measure(panel)  # one stranger of 100 above 0.98, where one probe is; ten above 0.89
    assert found.rates.dir.rate == pytest.approx(1 / 20) and found.rank_one.rate == 1
    assert found.dir_at(0.01) == pytest.approx(found.rates.dir.rate)
    assert found.dir_at(1) == found.rank_one.rate
    assert found.mean_dir == pytest.approx((1 / 20 + 3 / 20 + 1) / 3)


def test_ranks_and_scores_are_of_the_own_person() -> None:
    gallery = np.eye(3, 4, dtype=np.float32)
    probes = np.array([[1, 0, 0, 0], [0.8, 0.6, 0, 0]], np.float32)
    found = measure(PanelTemplates(gallery, probes, np.array([0, 1]), gallery[:1] * 0.5))
    assert found.known.tolist() == pytest.approx([1, 0.6])
    assert found.searches.ranks.tolist() == [1, 2]
    assert sorted(found.nonmated) == pytest.approx([0, 0, 0, 0.8])
    assert mean_angle(found.known) == pytest.approx((0 + 53.1301) / 2, abs=1e-3)
    assert np.isnan(mean_angle(np.array([np.nan])))
