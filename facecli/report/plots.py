"""Plots of error rates and scores as PNG and SVG bytes; matplotlib's objects, no global state.

Colours are those of Okabe & Ito (2008), told apart by colour-blind people; lines also differ in
their dashes. Everything works on arrays and knows nothing of where they come from. Importing this
raises UsageError without matplotlib.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from facecli.common.errors import UsageError
from facecli.metrics.verification import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

try:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
except ImportError as missing:
    raise UsageError("plots need an optional extra: pip install 'facecli[report]'") from missing

BLUE, ORANGE, GREEN, PURPLE, SKY, RED = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00",
)  # fmt: skip
CYCLE = ((BLUE, "-"), (RED, "--"), (GREEN, "-."), (PURPLE, ":"), (ORANGE, "-"), (SKY, "--"))
SIZE = (6.4, 4.4)  # inches
DOTS = 130  # an inch, of the PNG
FEWEST = 5  # values of a kind: with fewer a plot shows dots and gaps, not how they spread
BINS, FEW_BINS, FEW = 80, 40, 500  # bins of a histogram; FEW_BINS below FEW values
PERCENT = (1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95)  # ticks of probit axes
NAMES = ("searches", "fnir-fpir", "threshold-n", "cmc", "det", "scores", "angles")

Values = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class NotDrawn:
    """A plot that so few data would leave empty. why: what there is, and what it takes."""

    name: str
    title: str
    why: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """One plot. name: of its files; caption: what it shows and how to read it, in a
    sentence or two.
    """

    name: str
    title: str
    caption: str
    png: bytes
    svg: bytes


def plot_det(curve: Curve, point: tuple[float, float, str] | None = None) -> Drawing:
    """FNMR against FMR on probit axes. point: (FMR, FNMR, its label)."""
    figure, axes = new_axes("false match rate (FMR), per comparison", "false non-match rate (FNMR)")
    x, y = _drawable(curve)
    # Each axis begins a little below the smallest rate that these trials can show.
    left, bottom = _least(x) / 2, _least(y) / 2
    axes.plot(np.maximum(x, left), np.maximum(y, bottom), color=BLUE, lw=1.8)
    if point is not None:
        fmr, fnmr, label = point
        axes.plot(max(fmr, left), max(fnmr, bottom), "o", color=RED, label=label, clip_on=False)
        axes.legend(frameon=False)
    axes.set_xscale("function", functions=(_probit, _share))
    axes.set_yscale("function", functions=(_probit, _share))
    for axis, least in ((axes.xaxis, left), (axes.yaxis, bottom)):
        axis.set_view_interval(least, 0.5, ignore=True)
        ticks = [t for t in PERCENT if least <= t <= 0.5]
        axis.set_ticks(ticks, [_percent(t) for t in ticks])
        axis.set_ticks([], minor=True)
    return drawn(
        figure, "det", "Detection error tradeoff",
        "Every threshold is a point of the line: fewer false matches to the left, fewer misses "
        "further down. Probit axes; rates of zero lie on the lower or left edge.",
    )  # fmt: skip


def comparison_scores(mated: Values, nonmated: Values, threshold: float | None) -> Drawing:
    """How comparison scores spread, with the threshold of a comparison. Cosines, finite."""
    figure, axes = new_axes("score (cosine)", "share of comparisons, log scale")
    lowest = float(min(mated.min(initial=0), nonmated.min(initial=0)))
    _histograms(axes, {"mated": mated, "non-mated": nonmated}, (np.floor(lowest * 10) / 10, 1.0))
    _threshold(axes, threshold)
    axes.set_yscale("log")
    # From half of one comparison to twice all of them: room for the legend.
    axes.set_ylim(0.5 / max(len(mated), len(nonmated), 1), 2)
    axes.legend(frameon=False, loc="upper left")
    return drawn(
        figure, "scores", "Scores of comparisons",
        "Each bar is a share of its own kind. Mated ones left of the threshold are missed, "
        "non-mated ones right of it are false matches.",
    )  # fmt: skip


def search_scores(mated: Values, strangers: Values, threshold: float | None, n: int) -> Drawing:
    """The best score of each search among n subjects, with the threshold in force."""
    figure, axes = new_axes(
        "best score of a search, less the crowd's share (cosine)", "share of searches"
    )
    _histograms(axes, {"of enrolled people": mated, "of strangers": strangers}, (0.0, 1.0))
    _threshold(axes, threshold)
    axes.legend(frameon=False)
    return drawn(
        figure, "searches", f"Best scores of searches, N = {n:,}",
        "What a search is decided by. Strangers right of the threshold are named (FPIR), "
        "enrolled people left of it are missed (FNIR).",
    )  # fmt: skip


def angles(mated: Values, nonmated: Values, threshold: float | None) -> Drawing:
    """The angles between templates, arccos of cosines, in degrees: within and between subjects.

    The picture of the ArcFace paper (Deng et al., CVPR 2019, figure 6 and table 3).
    """
    figure, axes = new_axes("angle between two templates (degrees)", "share of comparisons")
    shown = {
        "one subject (intra)": _degrees(mated),
        "two subjects (inter)": _degrees(nonmated),
    }
    _histograms(axes, shown, (0.0, 120.0))
    if threshold is not None:
        _threshold(axes, float(_degrees(np.array([threshold]))[0]), unit="°")
    axes.set_xlim(0, 120)
    axes.legend(frameon=False)
    means = "; ".join(f"{k}: {np.mean(v):.1f}° on average" for k, v in shown.items() if len(v))
    return drawn(
        figure, "angles", "Angles behind the cosines",
        f"arccos of the scores. {means}. Unrelated directions stand at 90°.",
    )  # fmt: skip


def fnir_fpir(curves: Mapping[int, Curve], points: Mapping[int, tuple[float, float]]) -> Drawing:
    """FNIR against FPIR for each number N of subjects; points: the default operating points'."""
    figure, axes = new_axes("false positive identification rate (FPIR), per search",
                         "false negative identification rate (FNIR)")  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    rates = [v for curve in curves.values() for v in _drawable(curve)]
    least = min(_least(v) for v in rates) / 2
    for (n, curve), (colour, dash) in zip(curves.items(), _styles(len(curves)), strict=True):
        x, y = (np.maximum(v, least) for v in _drawable(curve))
        axes.step(x, y, where="post", color=colour, ls=dash, lw=1.6, label=f"N = {n:,}")
        if n in points:
            at = np.maximum(points[n], least)
            axes.plot(*at, "o", color=colour, clip_on=False, zorder=3)
    axes.set_xlim(least, 1)
    axes.set_ylim(least, min(1.0, 3 * max([least, *(float(v.max()) for v in rates[1::2])])))
    _percent_ticks(axes, least)
    axes.legend(frameon=False)
    return drawn(
        figure, "fnir-fpir", "Misses against strangers named",
        "Every threshold is a point; dots are the default operating points. Rates of zero lie on "
        "the lower or left edge.",
    )  # fmt: skip


def threshold_by_n(
    n: Sequence[int],
    thresholds: Sequence[float],
    extrapolated_from: int | None,
    plain: Sequence[float],
    here: tuple[int, float] | None,
    target: str,
) -> Drawing:
    """The rule's threshold against the number of subjects.

    thresholds: with this gallery's fit. plain: by the reference table alone. extrapolated_from:
    the first N beyond the table's scores. here: this gallery's (N, threshold).
    """
    figure, axes = new_axes("enrolled subjects N, log scale", "threshold (cosine)")
    x, y = np.asarray(n), np.asarray(thresholds)
    beyond = x >= (extrapolated_from or x[-1] + 1)
    last = max(0, int(np.argmax(beyond)) - 1) if beyond.any() else len(x)
    axes.plot(x[: last + 1], y[: last + 1], color=BLUE, lw=1.8, label="as fitted to this gallery")
    if beyond.any():
        axes.plot(x[last:], y[last:], color=BLUE, lw=1.8, ls="--", label="extrapolated")
    if not np.allclose(y, plain, atol=1e-4):
        axes.plot(x, plain, color=ORANGE, lw=1.4, ls=":", label="reference table alone")
    if here is not None:
        axes.plot(*here, "o", color=RED, label=f"here: N = {here[0]:,}, {here[1]:.3f}", zorder=3)
    axes.set_xscale("log")
    axes.legend(frameon=False)
    return drawn(
        figure, "threshold-n", "The threshold that holds the rate",
        f"For FPIR {target}: the more people are enrolled, the more chances a stranger has, so "
        "the threshold rises. Dashed where no reference photos show it.",
    )  # fmt: skip


def plot_cmc(
    rates: Sequence[float], low: Sequence[float], high: Sequence[float], n: int
) -> Drawing:
    """The cumulative match characteristic with its intervals; item 0 is rank 1."""
    figure, axes = new_axes("rank", "mates at that rank or better")
    ranks = np.arange(1, len(rates) + 1)
    axes.fill_between(ranks, low, high, color=SKY, alpha=0.3, lw=0, label="95 % interval")
    axes.plot(ranks, rates, "o-", color=BLUE, lw=1.6, ms=4)
    axes.set_xticks(ranks)
    axes.set_ylim(min(0.9, *low), 1.002)
    axes.yaxis.set_major_formatter(lambda value, _: _percent(value))
    axes.legend(frameon=False, loc="lower right")
    return drawn(
        figure, "cmc", f"Cumulative match characteristic, N = {n:,}",
        "How often the right subject is among the first candidates, whatever the score.",
    )  # fmt: skip


def new_axes(x: str, y: str) -> tuple[Figure, Axes]:
    """A figure with one plot in the house's style. x, y: what its axes show."""
    figure = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="#e4e7eb", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def new_grid(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure of several plots, row by row. size: inches."""
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(rows, columns, i + 1) for i in range(rows * columns)]


def _histograms(axes: Axes, kinds: Mapping[str, Values], span: tuple[float, float]) -> None:
    few = any(0 < len(values) < FEW for values in kinds.values())
    edges = np.linspace(*span, (FEW_BINS if few else BINS) + 1).tolist()
    for (label, values), colour in zip(kinds.items(), (BLUE, ORANGE), strict=True):
        if len(values):
            axes.hist(
                np.clip(values, *span), edges, weights=np.full(len(values), 1 / len(values)),
                histtype="stepfilled", alpha=0.45, color=colour, edgecolor=colour, lw=1.2,
                label=f"{label} ({len(values):,})",
            )  # fmt: skip
    axes.set_xlim(*span)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.3)  # room for the legend


def _threshold(axes: Axes, at: float | None, unit: str = "") -> None:
    if at is not None:
        shown = f"{at:.1f}{unit}" if unit else f"{at:.3f}"
        axes.axvline(at, color="#1b1f24", ls="--", lw=1.2, label=f"threshold {shown}")


def _degrees(cosines: Values) -> Values:
    return np.degrees(np.arccos(np.clip(cosines.astype(np.float64), -1, 1)))


def _drawable(curve: Curve) -> tuple[Values, Values]:
    """The rates, on to a false positive rate of 1, where no fewer are missed than before."""
    x, y = curve.false_positives, curve.false_negatives
    return np.append(1.0, x), np.append(y[0], y)


def _least(rates: Values) -> float:
    """The smallest rate that was observed, zero aside, or 2 %: an axis needs some length."""
    return float(rates[rates > 0].min(initial=0.02))


def _probit(rate: Values) -> Values:
    return np.asarray(ndtri(np.clip(rate, 1e-9, 1 - 1e-9)))


def _share(deviate: Values) -> Values:
    return np.asarray(ndtr(deviate))


def _percent(rate: float) -> str:
    return f"{rate * 100:.4g} %"


def _percent_ticks(axes: Axes, least: float) -> None:
    ticks = [t for k in range(7) for t in (10.0**-k, 3 * 10.0 ** -(k + 1)) if t >= least]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks, [_percent(t) for t in ticks])
        axis.set_ticks([], minor=True)


def _styles(count: int) -> list[tuple[str, str]]:
    return [CYCLE[i % len(CYCLE)] for i in range(count)]


def drawn(figure: Figure, name: str, title: str, caption: str) -> Drawing:
    """The figure as PNG and SVG. title: over its first plot; empty where plots have their own."""
    if title:
        figure.axes[0].set_title(title, loc="left", fontsize=11)
    png, svg = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=DOTS)
    figure.savefig(svg, format="svg", metadata={"Date": None})
    return Drawing(name, title, caption, png.getvalue(), svg.getvalue())
