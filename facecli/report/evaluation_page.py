"""`evaluate` as one self-contained page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facecli.evaluation.mistakes import Mistake, MistakeKind, Shown
from facecli.evaluation.run import Evaluation
from facecli.report.evaluation_plots import drawings
from facecli.report.evaluation_tables import summary, tables
from facecli.report.formats import failure_line, printable, short_path
from facecli.report.html import data_uri, render
from facecli.report.thumbnails import thumbnail

PATH_WIDTH = 28  # columns below a face
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


def _case(m: Mistake, thumbnails: bool) -> Case:
    decided = {True: ", accepted", False: ", below the threshold", None: ""}[m.accepted]
    angle = np.degrees(np.arccos(np.clip(m.score, -1, 1)))
    pictures = (_picture(m.first, thumbnails), _picture(m.second, thumbnails))
    return Case(pictures, f"score {m.score:.3f} ({angle:.0f}°){decided}")


def _picture(shown: Shown, thumbnails: bool) -> Picture:
    content = thumbnail(shown.path, shown.box) if thumbnails else None
    source = data_uri(content) if content else ""
    return Picture(source, printable(shown.subject), short_path(printable(shown.path), PATH_WIDTH))
