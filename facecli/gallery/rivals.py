"""Who must be told apart: enrolled people who were said to be two, however alike they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from facecli.common.decision import told_apart
from facecli.common.types import Candidate, Rival
from facecli.metrics import twins
from facecli.metrics.reference_table import ReferenceTable
from facecli.storage.interface import Reader

DEEPEST = 4096  # candidates: whom so many others are more alike is nobody's look-alike
MOST_REFERENCES = 20_000  # from which a margin is measured


@dataclass(frozen=True, slots=True)
class Rivals:
    """margins: by name, whom a subject must be told from, and the margin; see `types.Rival`."""

    margins: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(cls, reader: Reader, table: ReferenceTable | None) -> Rivals:
        """Those of a gallery as it is now. table: the embedder's, None where it ships none; then
        the margins are those of the gallery's own people, if enough of them have photos enough.
        """
        pairs = reader.distinct()
        if not pairs:
            return cls({})
        by_references = table.margins if table and table.margins else _own(reader)
        found = defaultdict[str, dict[str, float]](dict)
        for one, other in pairs:
            margin = twins.margin(by_references, one.references, other.references)
            found[one.name][other.name] = found[other.name][one.name] = margin
        return cls(found)

    def of_best(
        self, ranked: Sequence[Candidate], search: Callable[[int], Sequence[Candidate]]
    ) -> Rival | None:
        """Whom the best candidate must be told from, and is least so; None where there is nobody.

        ranked: best first, one or more. search: gives so many of them, in the same order.
        """
        best = ranked[0]
        margins = self.margins.get(best.subject, {})
        while (
            not margins.keys() <= {candidate.subject for candidate in ranked}
            and not all(told_apart(best, Rival(ranked[-1], m)) for m in margins.values())
            and len(longer := search(4 * len(ranked))) > len(ranked)
            and len(ranked) < DEEPEST
        ):
            ranked = longer
        found = [Rival(c, margins[c.subject]) for c in ranked if c.subject in margins]
        return max(found, key=lambda r: r.candidate.score + np.nan_to_num(r.margin), default=None)


def _own(reader: Reader) -> tuple[float, ...]:
    rows = list(islice(reader.references(), MOST_REFERENCES))
    vectors = np.stack([row.template.vector for row in rows])
    return twins.margins(vectors, np.array([row.subject for row in rows]))
