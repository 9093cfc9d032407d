"""Plots say what the numbers say: their labels, lines and captions, in both formats."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from facecli.metrics import verification
from facecli.report import plots
from facecli.report.plots import Drawing

RNG = np.random.default_rng(4)
MATED = np.clip(RNG.normal(0.7, 0.1, 400), -1, 1)
NONMATED = np.clip(RNG.normal(0.0, 0.12, 5000), -1, 1)
CURVE = verification.det(MATED, NONMATED)


def texts(drawing: Drawing) -> list[str]:
    """The words in a plot: matplotlib notes each as a comment beside its outlines."""
    found = re.findall(r"<!-- (.*?) -->", drawing.svg.decode("utf-8"), re.DOTALL)
    return [text.replace("−", "-") for text in found]


@pytest.fixture(scope="module")
def every_plot() -> list[Drawing]:
    return [
        plots.plot_det(CURVE, (0.01, 0.02, "here")),
        plots.comparison_scores(MATED, NONMATED, 0.45),
        plots.search_scores(MATED, NONMATED, 0.45, 90),
        plots.angles(MATED, NONMATED, 0.5),
        plots.fnir_fpir({10: CURVE, 1000: CURVE}, {10: (0.01, 0.0)}),
        plots.threshold_by_n([1, 10, 100], [0.3, 0.4, 0.5], 100, [0.3, 0.35, 0.4], None, "1 %"),
        plots.plot_cmc([0.9, 0.95], [0.85, 0.9], [0.94, 0.98], 90),
    ]


def test_every_plot_is_a_sound_png_and_svg(every_plot: list[Drawing]) -> None:
    assert len({drawing.name for drawing in every_plot}) == len(every_plot)
    for drawing in every_plot:
        with Image.open(io.BytesIO(drawing.png)) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 500
            colours = picture.convert("RGB").getcolors(maxcolors=1 << 20)
            assert colours is not None and len(colours) > 50, drawing.name
        assert ElementTree.fromstring(drawing.svg).tag.endswith("svg")
        assert drawing.title in texts(drawing)
        assert drawing.caption.endswith(".")


def test_the_same_data_give_the_same_png() -> None:
    one, two = (plots.plot_cmc([0.9, 0.95], [0.85, 0.9], [0.94, 0.98], 90) for _ in range(2))
    assert one.png == two.png


def test_the_axes_name_what_they_show(every_plot: list[Drawing]) -> None:
    labels = {drawing.name: texts(drawing) for drawing in every_plot}
    assert "false match rate (FMR), per comparison" in labels["det"]
    assert "false positive identification rate (FPIR), per search" in labels["fnir-fpir"]
    assert "angle between two templates (degrees)" in labels["angles"]
    assert {"N = 10", "N = 1,000"} <= set(labels["fnir-fpir"])
    assert {"mated (400)", "non-mated (5,000)", "threshold 0.450"} <= set(labels["scores"])


def test_angles_are_the_arccosines_in_degrees() -> None:
    drawing = plots.angles(np.array([0.5, 0.5]), np.array([0.0]), 0.5)
    assert "one subject (intra): 60.0° on average" in drawing.caption
    assert "two subjects (inter): 90.0° on average" in drawing.caption
    assert "threshold 60.0°" in texts(drawing)


def test_an_angle_survives_a_cosine_that_rounding_pushed_past_one() -> None:
    drawing = plots.angles(np.array([np.float32(1.0000001)]), np.array([]), None)
    assert "0.0° on average" in drawing.caption


def test_the_threshold_is_dashed_only_where_it_is_extrapolated() -> None:
    sizes, rising = [1, 10, 100, 1000], [0.3, 0.4, 0.5, 0.6]
    within = plots.threshold_by_n(sizes, rising, None, rising, (10, 0.4), "1 %")
    beyond = plots.threshold_by_n(sizes, rising, 100, rising, (10, 0.4), "1 %")
    assert "extrapolated" not in texts(within)
    assert "extrapolated" in texts(beyond)
    assert b"stroke-dasharray" not in within.svg
    assert b"stroke-dasharray" in beyond.svg
    assert "here: N = 10, 0.400" in texts(within)


def test_the_reference_table_alone_is_drawn_where_the_gallery_moved_it() -> None:
    moved = plots.threshold_by_n([1, 10], [0.3, 0.4], None, [0.2, 0.3], None, "1 %")
    same = plots.threshold_by_n([1, 10], [0.3, 0.4], None, [0.3, 0.4], None, "1 %")
    assert "reference table alone" in texts(moved)
    assert "reference table alone" not in texts(same)


@pytest.mark.parametrize("threshold", [None, 0.4])
def test_one_kind_of_score_is_enough_for_a_histogram(threshold: float | None) -> None:
    none = np.array([], np.float32)
    drawing = plots.comparison_scores(MATED, none, threshold)
    assert "mated (400)" in texts(drawing)
    assert not any(text.startswith("non-mated") for text in texts(drawing))
    assert any(text.startswith("threshold") for text in texts(drawing)) == (threshold is not None)


@pytest.mark.filterwarnings("error")
def test_perfect_and_hopeless_curves_can_be_drawn() -> None:
    perfect = verification.det(np.array([0.9, 0.8]), np.array([0.1, 0.2]))
    hopeless = verification.det(np.array([0.1, -np.inf]), np.array([0.8, 0.9]))
    for curve in (perfect, hopeless):
        assert len(plots.plot_det(curve).png) > 5000
        assert len(plots.fnir_fpir({2: curve}, {2: (0.0, 1.0)}).png) > 5000
