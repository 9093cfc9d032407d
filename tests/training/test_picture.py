"""Two real people in two dimensions: every loss parts them, and the picture shows all losses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.galleries import write_variants

pytest.importorskip("torch", reason="NOT CHECKED: pip install 'facecli[train]'")

from facecli.common.enums import LossName
from facecli.common.errors import InputError
from facecli.datasets.labels import labelled
from facecli.recognition.pipeline import Extractor
from facecli.report.training_plots import draw_picture
from facecli.training import picture

pytestmark = pytest.mark.training


def test_every_loss_parts_two_people(
    tmp_path: Path, portraits: dict[str, Path], extractor: Extractor
) -> None:
    for name, portrait in portraits.items():
        write_variants(tmp_path / name, portrait, 4)
    photos = picture.chosen(labelled([tmp_path]).photos, 8)
    assert len(photos) == 8
    panels = picture.picture(extractor, photos, seed=0)
    assert {panel.loss for panel in panels} == set(LossName)
    for panel in panels:
        assert panel.within < 15 and panel.between > 40, panel.loss
        assert panel.points.shape == (8, 2) and np.isfinite(panel.points).all()
        if panel.angular:
            assert np.allclose(np.linalg.norm(panel.points, axis=1), 1, atol=1e-5)
    again = picture.picture(extractor, photos, seed=0)
    assert all(np.array_equal(a.points, b.points) for a, b in zip(panels, again, strict=True))
    drawing = draw_picture(panels)
    assert drawing.png.startswith(b"\x89PNG") and b"<svg" in drawing.svg


def test_one_person_is_no_picture(tmp_path: Path, portraits: dict[str, Path]) -> None:
    write_variants(tmp_path / "Grace", portraits["Grace Hopper"], 4)
    with pytest.raises(InputError, match="two people or more"):
        picture.chosen(labelled([tmp_path]).photos, 8)
