"""`evaluate` as one self-contained page, and its plots as files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facecli.common import atomic
from facecli.common.files import private_folder
from facecli.evaluation.mistakes import Mistake, MistakeKind, Shown
from facecli.evaluation.run import Evaluation
from facecli.evaluation.searches import SearchResults
from facecli.metrics.gallery_fit import fitted
from facecli.metrics.rates import Scores
from facecli.report import plots
from facecli.report.evaluation_tables import summary, tables
from facecli.report.formats import failure_line, printable, rate, short_path
from facecli.report.html import data_uri, render
from facecli.report.plots import Drawing, Values
from facecli.report.thumbnails import thumbnail

PATH_WIDTH = 28  # columns below a face
UP_TO_N = 1_000_000
STEPS = 61  # points of the threshold's line, ten a decade
HINTS = {
    MistakeKind.NON_MATED: "Often one person under two names: check the labels.",
    MistakeKind.MATED: "Often a wrong label, or a poor photo.",
    MistakeKind.STRANGER: "The probe, then the nearest reference of the best candidate.",
    MistakeKind.WRONG_FIRST: "The probe, then the nearest reference of the subject ranked first.",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A face to show. source: a data URI, empty where it is not shown."""

    source: str
    subject: str
    path: str


@dataclass(frozen=True, slots=True)
class Case:
    """A mistake to show. line: its score and what was decided."""

    pictures: tuple[Picture, Picture]
    line: str


def page(e: Evaluation, thumbnails: bool = True) -> str:
    """The HTML. thumbnails: whether faces are shown."""
    groups = [(kind, [m for m in e.mistakes if m.kind is kind]) for kind in MistakeKind]
    return render(
        "evaluation.html",
        {
            "description": printable(e.plan.description),
            "embedder": e.embedder_id,
            "summary": [printable(line) for line in summary(e)],
            "drawings": [(d, data_uri(d.png)) for d in drawings(e)],
            "tables": tables(e),
            "mistakes": [
                (kind.value, HINTS[kind], [_case(m, thumbnails) for m in found])
                for kind, found in groups
                if found
            ],
            "failures": [(printable(f.path), printable(failure_line(f))) for f in e.failures],
            "remarks": [printable(line) for line in (*e.plan.problems, *e.remarks)],
        },
    )


def write_plots(e: Evaluation, folder: Path) -> Iterator[Path]:
    """Write every plot as PNG and SVG; yields what was written. Raises OSError."""
    private_folder(folder)
    for drawing in drawings(e):
        for suffix, content in ((".png", drawing.png), (".svg", drawing.svg)):
            path = folder / (drawing.name + suffix)
            atomic.write(path, content)
            yield path


def drawings(e: Evaluation) -> list[Drawing]:
    """The plots that the data allow, searches first."""
    return [*_search_drawings(e), *_comparison_drawings(e)]


def _search_drawings(e: Evaluation) -> Iterator[Drawing]:
    if not e.identification:
        return
    whole = e.identification[-1]
    threshold = whole.point.threshold if whole.point else None
    mated, strangers = _finite(whole.searches.mated), _finite(whole.searches.nonmated)
    yield plots.search_scores(mated, strangers, threshold, whole.n)
    if curves := {i.n: i.curve for i in e.identification if i.curve is not None}:
        points = {i.n: (i.rates.fpir.rate, i.rates.fnir.rate) for i in e.identification if i.rates}
        yield plots.fnir_fpir(curves, points)
    yield from _threshold_by_n(whole, e.target_fpir)
    if whole.cmc:
        rates, low, high = zip(*((i.rate, i.low, i.high) for i in whole.cmc), strict=True)
        yield plots.plot_cmc(rates, low, high, whole.n)


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


def _comparison_drawings(e: Evaluation) -> Iterator[Drawing]:
    v, point = e.verification, e.comparison_point
    threshold = point.threshold if point else None
    mated, nonmated = _finite(v.mated), _finite(v.nonmated)
    if v.curve is not None:
        place = None
        if threshold is not None:
            label = f"default of `verify`, {threshold:.3f}"
            fmr = float(np.mean(v.nonmated.accepted(threshold)))
            place = (fmr, float(np.mean(~v.mated.accepted(threshold))), label)
        yield plots.plot_det(v.curve, place)
    yield plots.comparison_scores(mated, nonmated, threshold)
    yield plots.angles(mated, nonmated, threshold)


def _finite(scores: Scores) -> Values:
    return scores.values[np.isfinite(scores.values)]


def _case(m: Mistake, thumbnails: bool) -> Case:
    decided = {True: ", accepted", False: ", below the threshold", None: ""}[m.accepted]
    angle = np.degrees(np.arccos(np.clip(m.score, -1, 1)))
    pictures = (_picture(m.first, thumbnails), _picture(m.second, thumbnails))
    return Case(pictures, f"score {m.score:.3f} ({angle:.0f}°){decided}")


def _picture(shown: Shown, thumbnails: bool) -> Picture:
    content = thumbnail(shown.path, shown.box) if thumbnails else None
    source = data_uri(content) if content else ""
    return Picture(source, printable(shown.subject), short_path(printable(shown.path), PATH_WIDTH))
