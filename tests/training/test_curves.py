"""The curves are the formulas', and the command draws them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="NOT CHECKED: pip install 'facecli[train]'")

from facecli.cli.train import curves as draw
from facecli.common.enums import LossName
from facecli.common.errors import UsageError
from facecli.training.curves import curves

pytestmark = pytest.mark.training


def test_arcface_s_curve_is_the_paper_s() -> None:
    (arcface,) = [one for one in curves(64) if one.loss is LossName.ARCFACE]
    theta = np.radians(arcface.angle)
    assert np.abs(arcface.logit - 64 * np.cos(theta + 0.5)).max() < 1e-9
    inside = slice(1, -1)  # at 0 and 180 degrees the slope in the cosine is held finite
    assert np.abs(arcface.slope - 64 * np.sin(theta + 0.5))[inside].max() < 1e-6
    gap = arcface.other - arcface.boundary
    known = np.isfinite(arcface.boundary) & (arcface.boundary > 0)
    assert known.sum() > 100
    assert np.abs(gap[known] - math.degrees(0.5)).max() < 0.02


def test_the_command_draws_them_and_replaces_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path / "plots")
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    assert names == {f"{n}.{s}" for n in ("target-logits", "slopes", "boundaries")
                     for s in ("png", "svg")}  # fmt: skip
    assert len(capsys.readouterr().out.splitlines()) == 6
    with pytest.raises(UsageError, match="--force"):
        draw(tmp_path / "plots")
    draw(tmp_path / "plots", force=True)
