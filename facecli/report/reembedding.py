"""What re-embedding a gallery came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from facecli.report.formats import SCHEMA, counted, failure_line, printable

if TYPE_CHECKING:
    from facecli.gallery.re_embed import LeftOut, ReEmbedding


def re_embedding_row(result: ReEmbedding) -> dict[str, Any]:
    """The JSON object of `gallery re-embed`."""
    return {
        "schema": SCHEMA,
        "embedder": result.embedder_id,
        "gallery": str(result.gallery),
        "old": None if result.old is None else str(result.old),
        "references": result.references,
        "left_out": [
            {
                "reference": out.reference,
                "subject": out.subject,
                "path": out.failure.path,
                "reason": str(out.failure.reason),
                "detail": out.failure.detail,
            }
            for out in result.left_out
        ],
    }


def re_embedding_text(result: ReEmbedding) -> str:
    """What was moved, what was not, and where the old gallery is."""
    model = result.embedder_id.split(":")[0]
    faces = counted(result.references, "reference")
    lines = [f"re-embedded {faces} with {model}, left out {len(result.left_out):,}"]
    lines.append("the threshold is the new embedder's: calibrate again where you had calibrated")
    if result.old is not None:
        lines.append(f"the gallery as it was: {printable(str(result.old))}")
    return "\n".join(lines)


def left_out_text(left_out: Sequence[LeftOut]) -> str:
    """A line for each reference that gets no template."""
    return "\n".join(
        [
            f"{counted(len(left_out), 'reference')} cannot be re-embedded:",
            *(
                f"  reference {out.reference} of {printable(out.subject)}, "
                f"{printable(out.failure.path)}: {failure_line(out.failure)}"
                for out in left_out
            ),
        ]
    )
