"""The plots of `train`: scores before and after, the losses' curves, people in two dimensions.

Importing this raises UsageError without matplotlib.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facecli.common import outputs
from facecli.common.errors import OutputError
from facecli.common.files import private_folder
from facecli.report.evaluation_plots import SUFFIXES
from facecli.report.plots import (
    BLUE,
    CYCLE,
    ORANGE,
    Drawing,
    Values,
    drawn,
    new_axes,
    new_grid,
)

if TYPE_CHECKING:
    from facecli.training.curves import Curves
    from facecli.training.measure import Comparison
    from facecli.training.picture import Panel
    from facecli.training.train import Training

NAMES = ("target-logits", "slopes", "boundaries", "picture")
COLUMNS = 5  # panels a row of the picture
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c00", "#5b3a8c",
           "#7f7f7f", "#000000", "#a6761d", "#66a61e")  # fmt: skip


def judge(folder: Path, force: bool = False) -> None:
    """See whether every plot may be written. Raises as `outputs.judge`."""
    outputs.judge_folder(folder)
    for name in NAMES:
        for suffix in SUFFIXES:
            if os.path.lexists(path := folder / (name + suffix)):
                outputs.judge(path, force=force, kept=outputs.unless_plot)


def write(drawings: Iterable[Drawing], folder: Path, *, force: bool = False) -> Iterator[Path]:
    """Write each as PNG and SVG; yields what was written. Raises as `outputs.judge`."""
    try:
        private_folder(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}") from error
    for drawing in drawings:
        for suffix, content in zip(SUFFIXES, (drawing.png, drawing.svg), strict=True):
            path = folder / (drawing.name + suffix)
            outputs.write(path, content, force=force, kept=outputs.unless_plot)
            yield path


def drawings(t: Training) -> list[Drawing]:
    """Of the page: scores before and after in the comparison that decides, and the epochs."""
    return [_scores(t.comparisons[0]), _angles(t.comparisons[0]), _epochs(t)]


def draw_curves(curves: Sequence[Curves]) -> Iterator[Drawing]:
    """Target logits, slopes and decision boundaries, as the ArcFace paper's figures 4 and 5."""
    figure, axes = new_axes("angle to the own class's centre (degrees)", "target logit")
    for one, (colour, dash) in zip(curves, CYCLE, strict=False):
        axes.plot(one.angle, one.logit, color=colour, ls=dash, lw=1.7, label=one.label)
    axes.set_xlim(0, 180)
    axes.legend(frameon=False)
    yield drawn(
        figure, "target-logits", "What the right class is given for an angle",
        "A margin lowers the line: for the same logit a face must stand nearer to its centre. Past "
        "180° less its margin ArcFace's rises again; SphereFace's is made to go on falling.",
    )  # fmt: skip
    figure, axes = new_axes("angle to the own class's centre (degrees)", "pull, logits per radian")
    for one, (colour, dash) in zip(curves, CYCLE, strict=False):
        axes.plot(one.angle, one.slope, color=colour, ls=dash, lw=1.7, label=one.label)
    axes.axhline(0, color="#57606a", lw=0.8)
    axes.set_xlim(0, 180)
    axes.legend(frameon=False)
    yield drawn(
        figure, "slopes", "How strongly an angle is pulled smaller",
        "The slope of the line before; CosFace's is normsoftmax's own. Without an added angle the "
        "pull fades as the angle does; ArcFace still pulls at 0°. Below 0 it would push away.",
    )  # fmt: skip
    figure, axes = new_axes("angle to the other class's centre (degrees)",
                            "angle to the own class's centre (degrees)")  # fmt: skip
    for one, (colour, dash) in zip(curves, CYCLE, strict=False):
        axes.plot(one.other, one.boundary, color=colour, ls=dash, lw=1.7, label=one.label)
    axes.set_xlim(0, 90)
    axes.set_ylim(0, 90)
    axes.legend(frameon=False)
    yield drawn(
        figure, "boundaries", "Where one class ends, with two classes",
        "Below its line a face counts as its own class. With no margin the line is the diagonal; "
        "ArcFace's is parallel to it: the same angle in reserve everywhere.",
    )  # fmt: skip


def draw_picture(panels: Sequence[Panel]) -> Drawing:
    """A panel for each loss, a colour for each person."""
    rows = -(-len(panels) // COLUMNS)
    figure, grid = new_grid(rows, COLUMNS, (2.6 * COLUMNS, 2.9 * rows))
    for axes, panel in zip(grid, panels, strict=False):
        reach = float(np.abs(panel.points).max()) or 1.0
        for i in range(len(panel.names)):
            own = panel.points[panel.classes == i]
            colour = COLOURS[i % len(COLOURS)]
            if panel.centres is not None:
                way = panel.centres[i] / (np.linalg.norm(panel.centres[i]) or 1.0) * reach
                axes.plot([0, way[0]], [0, way[1]], color=colour, lw=0.9, alpha=0.6)
            axes.plot(own[:, 0], own[:, 1], ".", color=colour, ms=5, alpha=0.75)
        axes.set_title(
            f"{panel.loss}\nwithin {panel.within:.1f}°, between {panel.between:.0f}°", fontsize=9
        )
        axes.set_xlim(-1.1 * reach, 1.1 * reach)
        axes.set_ylim(-1.1 * reach, 1.1 * reach)
        axes.set_aspect("equal")
        axes.set_xticks([])
        axes.set_yticks([])
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    count = len(panels[0].names) if panels else 0
    return drawn(
        figure, "picture", "", f"{count} people in two dimensions, learnt from frozen templates: "
        "dots are photos, lines the classes' centres. Where only directions count the dots lie on "
        "a circle. within: the mean angle of a photo to its person's; between: of a person to the "
        "nearest other.",
    )  # fmt: skip


def _scores(one: Comparison) -> Drawing:
    figure, grid = new_grid(2, 1, (6.4, 5.2))
    for axes, measured, title in zip(
        grid, (one.before, one.after), ("before", "after"), strict=True
    ):
        known, unknown = _finite(measured.known), _finite(measured.unknown)
        edges = np.linspace(-0.2, 1, 61).tolist()
        for values, colour, label in (
            (known, BLUE, f"known people with themselves ({len(known):,})"),
            (unknown, ORANGE, f"strangers with the nearest ({len(unknown):,})"),
        ):
            if len(values):
                axes.hist(np.clip(values, -0.2, 1), edges, color=colour, alpha=0.5, label=label,
                          weights=np.full(len(values), 1 / len(values)))  # fmt: skip
        threshold = measured.rates.threshold
        if -1 <= threshold <= 1:
            axes.axvline(threshold, color="#1b1f24", ls="--", lw=1.2,
                         label=f"threshold for FPIR 1 %: {threshold:.3f}")  # fmt: skip
        axes.set_title(
            f"{title}: DIR {measured.rates.dir.rate * 100:.1f} %", loc="left", fontsize=10
        )
        axes.set_xlim(-0.2, 1)
        axes.legend(frameon=False, fontsize=8)
        axes.set_ylabel("share")
    grid[-1].set_xlabel("score (cosine)")
    return drawn(
        figure, "scores", "", f"Scores on people it never saw; {one.condition}. Better is not that "
        "known people score higher, but that they stand further from the strangers.",
    )  # fmt: skip


def _angles(one: Comparison) -> Drawing:
    figure, axes = new_axes("angle (degrees)", "share of probes or strangers, so far")
    for measured, dash, when in ((one.before, "--", "before"), (one.after, "-", "after")):
        for values, colour, who in ((measured.known, BLUE, "known people"),
                                    (measured.unknown, ORANGE, "nearest stranger")):  # fmt: skip
            shown = np.sort(np.degrees(np.arccos(np.clip(_finite(values), -1, 1))))
            heights = np.arange(1, len(shown) + 1) / max(1, len(shown))
            axes.step(shown, heights, dash, color=colour, lw=1.7, label=f"{who}, {when}")
    axes.set_xlim(0, 110)
    axes.legend(frameon=False, fontsize=8)
    return drawn(
        figure, "angles", "Angles before and after",
        "The share of angles up to a size. Known people's line should move left, strangers' right.",
    )  # fmt: skip


def _epochs(t: Training) -> Drawing:
    figure, axes = new_axes("epoch", "of the people who choose")
    numbers = [e.number for e in t.epochs]
    for values, (colour, dash), label in zip(
        ([e.dir for e in t.epochs], [e.rank_one for e in t.epochs],
         [e.known for e in t.epochs], [e.unknown for e in t.epochs]),
        CYCLE,
        ("DIR at FPIR 1 %", "rank 1", "known score", "unknown score"),
        strict=False,
    ):  # fmt: skip
        axes.plot(numbers, values, color=colour, ls=dash, marker="o", ms=3, lw=1.5, label=label)
    axes.axvline(t.best.number, color="#57606a", lw=0.8, ls=":", label="the best, kept")
    axes.set_ylim(0, 1)
    axes.legend(frameon=False, fontsize=8)
    return drawn(figure, "epochs", "Epochs", "Epoch 0 is the base, before any training.")


def _finite(values: Values) -> Values:
    return values[np.isfinite(values)]
