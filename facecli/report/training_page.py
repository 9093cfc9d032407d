"""`train` as one self-contained page. Importing this raises UsageError without Jinja2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facecli.report.formats import printable
from facecli.report.html import data_uri, render
from facecli.report.training import summary, tables
from facecli.report.training_plots import drawings

if TYPE_CHECKING:
    from facecli.training.train import Training


def page(t: Training) -> str:
    """The HTML. It shows no face."""
    return render(
        "training.html",
        {
            "name": printable(t.name),
            "base": t.base.embedder_id,
            "embedder": t.exported.spec.embedder_id,
            "summary": [printable(line) for line in summary(t)],
            "drawings": [(d, data_uri(d.png)) for d in drawings(t)],
            "tables": tables(t),
            "remarks": [printable(line) for line in t.remarks],
        },
    )
