"""`evaluate` as one self-contained page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facecli.common.types import Interval
from facecli.evaluation.mistakes import Mistake, MistakeKind, Shown
from facecli.evaluation.run import Evaluation
from facecli.report.evaluation_plots import drawings
from facecli.report.evaluation_tables import summary, tables
from facecli.report.formats import counted, failure_line, printable, rate
from facecli.report.html import Figure, data_uri, render
from facecli.report.intervals import interval_cells, share
from facecli.report.plots import NotDrawn
from facecli.report.thumbnails import thumbnail

UNKNOWN = "no data"
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
            "figures": figures(e),
            "summary": [printable(line) for line in summary(e)],
            "drawings": [
                (d.title, d.why, "")
                if isinstance(d, NotDrawn)
                else (d.title, d.caption, data_uri(d.png))
                for d in drawings(e)
            ],
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


def figures(e: Evaluation) -> list[Figure]:
    """The three to look at first."""
    whole = e.identification[-1] if e.identification else None
    if whole is not None and whole.rates is not None:
        r = whole.rates
        aim = f"aimed at {rate(e.target_fpir)} among {counted(whole.n, 'subject')}"
        return [
            _figure(r.fpir, "of strangers were given a name", f"; {aim}"),
            _figure(r.dir, "of searches for enrolled people found them"),
            _figure(r.misidentification, "of those searches named somebody else"),
        ]
    v = e.verification
    found = [
        Figure(share(v.equal.rate) if v.equal else UNKNOWN, "equal error rate of two photos"),
        *(_figure(at.rates.tar, f"of mated pairs pass at FMR {at.fmr:g}")
          for at in [at for at in v.tar if at.rates][-1:] if at.rates),
    ]  # fmt: skip
    pairs = f"{v.mated.trials:,} mated, {v.nonmated.trials:,} non-mated"
    return [*found, Figure(f"{v.mated.trials + v.nonmated.trials:,}", "comparisons", pairs)]


def _figure(i: Interval, what: str, more: str = "") -> Figure:
    if not i.trials:
        return Figure(UNKNOWN, what, "no such photos" + more)
    _, interval, count = interval_cells(i)
    return Figure(
        share(i.rate), what, f"{count.replace('/', ' of ')}; 95 % interval {interval}{more}"
    )


def _case(m: Mistake, thumbnails: bool) -> Case:
    decided = {True: ", accepted", False: ", below the threshold", None: ""}[m.accepted]
    angle = np.degrees(np.arccos(np.clip(m.score, -1, 1)))
    pictures = (_picture(m.first, thumbnails), _picture(m.second, thumbnails))
    return Case(pictures, f"score {m.score:.3f} ({angle:.0f}°){decided}")


def _picture(shown: Shown, thumbnails: bool) -> Picture:
    content = thumbnail(shown.path, shown.box) if thumbnails else None
    source = data_uri(content) if content else ""
    return Picture(source, printable(shown.subject), printable(shown.path))
