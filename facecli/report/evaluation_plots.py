"""The plots of `evaluate`, and writing them as files.

Importing this raises UsageError without matplotlib.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from facecli.common import outputs
from facecli.common.errors import OutputError
from facecli.common.files import private_folder
from facecli.evaluation.run import Evaluation
from facecli.evaluation.searches import SearchResults
from facecli.metrics.gallery_fit import fitted
from facecli.metrics.rates import Scores
from facecli.metrics.verification import Curve
from facecli.report import plots
from facecli.report.formats import rate
from facecli.report.plots import FEWEST, Drawing, NotDrawn, Values

SUFFIXES = (".png", ".svg")
UP_TO_N = 1_000_000
STEPS = 61  # points of the threshold's line, ten a decade


def judge(folder: Path, force: bool = False) -> None:
    """See whether every plot may be written. Raises as `outputs.judge`."""
    outputs.judge_folder(folder)
    for name in plots.NAMES:
        for suffix in SUFFIXES:
            path = folder / (name + suffix)
            if os.path.lexists(path):
                outputs.judge(path, force=force, kept=outputs.unless_plot)


def write_plots(
    drawn: Iterable[Drawing | NotDrawn], folder: Path, *, force: bool = False
) -> Iterator[Path]:
    """Write each as PNG and SVG; yields what was written. Raises as `outputs.judge`."""
    try:
        private_folder(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}") from error
    for drawing in drawn:
        if isinstance(drawing, NotDrawn):
            continue
        for suffix, content in zip(SUFFIXES, (drawing.png, drawing.svg), strict=True):
            path = folder / (drawing.name + suffix)
            outputs.write(path, content, force=force, kept=outputs.unless_plot)
            yield path


def drawings(e: Evaluation) -> list[Drawing | NotDrawn]:
    """The plots, searches first; in the place of an empty one, why it is not drawn."""
    return [*_search_drawings(e), *_comparison_drawings(e)]


def _search_drawings(e: Evaluation) -> Iterator[Drawing | NotDrawn]:
    if not e.identification:
        return
    whole = e.identification[-1]
    threshold = whole.point.threshold if whole.point else None
    mated, strangers = _finite(whole.searches.mated), _finite(whole.searches.nonmated)
    there = {"searches of enrolled people": len(mated), "of strangers": len(strangers)}
    if max(there.values()) < FEWEST:
        yield _too_few("searches", "Best scores of searches", there)
    else:
        yield plots.search_scores(mated, strangers, threshold, whole.n)
    curves = {i.n: i.curve for i in e.identification if i.curve is not None}
    if not curves or _hardly_errs(list(curves.values())[-1]):
        errors = "thresholds that both name strangers and miss enrolled people"
        yield _too_few("fnir-fpir", "Misses against strangers named", there, errors)
    else:
        points = {i.n: (i.rates.fpir.rate, i.rates.fnir.rate) for i in e.identification if i.rates}
        yield plots.fnir_fpir(curves, points)
    yield from _threshold_by_n(whole, e.target_fpir)
    if whole.n < 2 or len(mated) < FEWEST:
        people = {"subjects enrolled": whole.n, "searches of enrolled people": len(mated)}
        yield _too_few("cmc", "Cumulative match characteristic", people)
    elif whole.cmc:
        rates, low, high = zip(*((i.rate, i.low, i.high) for i in whole.cmc), strict=True)
        yield plots.plot_cmc(rates, low, high, whole.n)


def _hardly_errs(curve: Curve) -> bool:
    """Whether too few thresholds make errors of both kinds for a line between them."""
    return int(np.sum((curve.false_positives > 0) & (curve.false_negatives > 0))) < FEWEST


def _too_few(name: str, title: str, there: Mapping[str, int], lacking: str = "") -> NotDrawn:
    """there: how many of each kind. lacking: what there is too little of among them."""
    counts = "; ".join(f"{what}: {count:,}" for what, count in there.items())
    what = f": there are hardly any {lacking}" if lacking else ""
    return NotDrawn(name, title, f"Too few to draw{what} ({counts}).")


def _threshold_by_n(whole: SearchResults, target: float) -> Iterator[Drawing]:
    table = whole.threshold_inputs.table()
    if table is None or whole.point is None:
        return
    own = fitted(table, whole.point.fit, whole.n)
    sizes = sorted({round(n) for n in np.geomspace(1, UP_TO_N, STEPS)})
    beyond = (n for n in sizes if own.extrapolates(own.tail(own.threshold(target, n))))
    yield plots.threshold_by_n(
        sizes,
        [own.threshold(target, n) for n in sizes],
        next(beyond, None),
        [table.threshold(target, n) for n in sizes],
        (whole.n, whole.point.threshold),
        rate(target),
    )


def _comparison_drawings(e: Evaluation) -> Iterator[Drawing | NotDrawn]:
    v, point = e.verification, e.comparison_point
    threshold = point.threshold if point else None
    mated, nonmated = _finite(v.mated), _finite(v.nonmated)
    there = {"mated comparisons": len(mated), "non-mated": len(nonmated)}
    if v.curve is None or _hardly_errs(v.curve):
        errors = "thresholds with both false matches and misses"
        yield _too_few("det", "Detection error tradeoff", there, errors)
    else:
        place = None
        if threshold is not None:
            label = f"default of `verify`, {threshold:.3f}"
            fmr = float(np.mean(v.nonmated.accepted(threshold)))
            place = (fmr, float(np.mean(~v.mated.accepted(threshold))), label)
        yield plots.plot_det(v.curve, place)
    if max(there.values()) < FEWEST:
        yield _too_few("scores", "Scores of comparisons", there)
        yield _too_few("angles", "Angles behind the cosines", there)
    else:
        yield plots.comparison_scores(mated, nonmated, threshold)
        yield plots.angles(mated, nonmated, threshold)


def _finite(scores: Scores) -> Values:
    return scores.values[np.isfinite(scores.values)]
