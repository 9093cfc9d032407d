"""Who is most alike: the engine's index proposes, its float32 templates are scored here."""

from __future__ import annotations

import numpy as np

from facecli.common.enums import IndexKind
from facecli.common.types import Candidate, Float32
from facecli.storage.milvus.client import Client
from facecli.storage.milvus.layout import REFERENCES, SUBJECTS, WHOLE, Subject, subject_from
from facecli.storage.records import IndexInfo

PROPOSED = 16  # at least: the engine scores in float32 what is scored here in float64
EFFORT = 2048  # of a graph's search, where the server's owner chose one; `recall` measures it
PROBES = 100


class MilvusRanker:
    """A gallery's subjects, searched many times, from any thread."""

    at_once = 16  # a search mostly waits: 0.2 to 0.4 s for a strong read

    def __init__(self, client: Client) -> None:
        self._client = client

    def candidates(self, probe: Float32, k: int) -> list[Candidate]:
        """The k best subjects, best first; of equal ones the one enrolled first.

        probe: (d,) float32 unit vector. One strong read finds them with names, templates and the
        list of their references: who was removed before it began is not among them.
        """
        hits = self._client.search([probe], max(PROPOSED, 2 * k), WHOLE, EFFORT)[0]
        subjects = [subject_from(row) for row in hits]
        scored = [(-_score(subject.template, probe), subject.id, subject) for subject in subjects]
        best = sorted(scored, key=lambda item: item[:2])[:k]
        nearest = self._nearest([subject for _, _, subject in best], probe)
        return [
            Candidate(rank, subject.name, nearest[subject.id], -score)
            for rank, (score, _, subject) in enumerate(best, 1)
        ]

    def _nearest(self, subjects: list[Subject], probe: Float32) -> dict[int, int]:
        """By subject, which of its references is most like the probe."""
        several = [i for s in subjects if len(s.members) > 1 for i in s.members]
        rows = self._client.never_changed(REFERENCES, several, ["vector"]) if several else []
        scores = {r["id"]: float(np.asarray(r["vector"], np.float32) @ probe) for r in rows}
        # One that was removed since the subject was read is not there; the others answer for it.
        return {s.id: max(s.members, key=lambda i: scores.get(i, -2.0)) for s in subjects}


def recall(client: Client, subjects: int, threshold: float | None) -> IndexInfo:
    """Of probes that score exactly `threshold` with a subject, how many find it again.

    They are made: a template turned by as much towards a random mix of the others. None: 0.6.
    """
    cosine = 0.6 if threshold is None else threshold
    share = min(1.0, 2 * PROBES / max(subjects, 1))
    # Hashes are spread evenly, so those below a bound are drawn by chance.
    drawn = "" if share == 1 else f'hash < "{int(share * 16**8):08x}"'
    rows = [row for page in client.pages(SUBJECTS, ["vector"], drawn) for row in page][:PROBES]
    if not rows:
        return IndexInfo(IndexKind.ENGINE)
    templates = np.asarray([row["vector"] for row in rows], np.float32)
    random = np.random.default_rng(0)
    # Mixed from templates, so that it points where faces do; a little of anything, for one alone.
    noise = random.standard_normal((len(rows), len(rows))) @ templates
    noise += 1e-3 * random.standard_normal(templates.shape)
    noise -= np.sum(noise * templates, axis=1, keepdims=True) * templates
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    probes = cosine * templates + (1 - cosine**2) ** 0.5 * noise
    found = client.search(list(probes.astype(np.float32)), PROPOSED, [], EFFORT)
    agreed = sum(row["id"] in {hit["id"] for hit in hits}
                 for row, hits in zip(rows, found, strict=True))  # fmt: skip
    return IndexInfo(IndexKind.ENGINE, agreed=agreed, asked=len(rows))


def _score(template: Float32, probe: Float32) -> float:
    """Summed in float64, as `search.ranker` does it for a gallery file."""
    return float(np.float32(template.astype(np.float64) @ probe.astype(np.float64)))
