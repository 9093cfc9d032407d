"""The non-mated score that a reference population exceeds with a given probability.

Made from photos of people who are not enrolled anywhere (models/make/make_reference_table.py), it
says what score a stranger reaches by chance, far out in the tail where a user's own photos
are too few to show it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from statistics import NormalDist

import numpy as np

from facecli.common.errors import CalibrationError, ModelError
from facecli.common.types import Float32, Float64
from facecli.metrics import face_kinds
from facecli.metrics.crowd import FIRST, LAST, NO_EFFECT, CrowdEffect
from facecli.metrics.face_kinds import FaceKind

FORMAT = 1
MIN_ENTRIES = 10
FEWEST_SCORES = 40  # enough for as many entries
FEWEST_BEHIND = 10  # comparisons behind an entry: 32 % of standard error
RULE_OF_3 = 3  # no error in n trials shows a rate of at most 3/n, at 95 % confidence
# Tail probabilities a table holds a score for: dense where thresholds lie.
TAILS: Float64 = np.concatenate(
    [np.array([0.999, 0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]), np.logspace(-1, -6, 51)]
)


@dataclass(frozen=True, slots=True)
class ReferenceTable:
    """Scores that a non-mated comparison exceeds with a given probability.

    tails: probabilities, falling. scores: cosines, rising. subjects, comparisons: what it was
    made from. made_from: a line for people. effects: what resembling many people does, by n; empty
    where it was not measured. embedder_id: whose scores these are; empty where none was noted.
    margins: what tells twins apart, see `twins`; empty where it was not measured.
    crowding: the faces that the crowd's share is taken off before it is decided, as far as they are
    of this kind: of people whom the embedder knows less well. None: off all.
    crowding_effects: `effects` where it is taken off these alone.
    """

    tails: tuple[float, ...]
    scores: tuple[float, ...]
    subjects: int
    comparisons: int
    made_from: str
    effects: tuple[CrowdEffect, ...] = ()
    embedder_id: str = ""
    margins: tuple[float, ...] = ()
    crowding: FaceKind | None = None
    crowding_effects: tuple[CrowdEffect, ...] = ()

    def score(self, tail: float) -> float:
        """Q: the score a stranger exceeds with probability `tail` in (0, 1).

        Linear in log10(tail) between entries. Beyond the last entry the score goes on as a
        normal distribution's would, at the slope of the last two decades: an extrapolation (see
        `extrapolates`).
        """
        if not 0 < tail < 1:
            raise ValueError(f"a tail probability lies between 0 and 1, not {tail}")
        return float(self._scores(np.array([tail]))[0])

    def tail(self, score: float) -> float:
        """The probability that a non-mated comparison reaches a score: the inverse of `score`."""
        x, y = np.log10(self.tails), np.asarray(self.scores)
        if score > y[-1]:
            deviate = _deviate(self.tails[-1]) + (score - y[-1]) / self._slope()
            return math.erfc(deviate / math.sqrt(2)) / 2
        first = np.flatnonzero(np.diff(y, prepend=-np.inf))  # of tied entries the most frequent
        return float(10 ** np.interp(score, y[first], x[first]))

    def threshold(self, fpir: float, n: int) -> float:
        """t0 = Q(1 - (1 - fpir)^(1/n)): n strangers compared, at most `fpir` of searches err."""
        tail = -float(np.expm1(np.log1p(-fpir) / max(n, 1)))
        return self.score(max(tail, float(np.finfo(float).tiny)))

    def fpir(self, score: float, n: int) -> float:
        """1 - F(score)^n: the chance that the best of n non-mated comparisons reaches `score`."""
        return 0.0 - float(np.expm1(n * np.log1p(-self.tail(score))))  # 0.0 - x is never -0.0

    @property
    def least_fpir(self) -> float:
        """The least rate that a search for each of so many people can show, by the rule of 3.

        What `fpir` says below it is the shape of the scores drawn on.
        """
        return min(1.0, RULE_OF_3 / max(1, self.subjects))

    def extrapolates(self, tail: float) -> bool:
        """True where `score(tail)` lies beyond what the reference photos showed."""
        return tail < self.tails[-1]

    def shifted(self, by: float, made_from: str) -> ReferenceTable:
        """The same table with every score moved by `by`, those of crowds as well."""
        plain, crowding = (
            tuple(replace(row, likeness=row.likeness + by) for row in rows)
            for rows in (self.effects, self.crowding_effects)
        )
        scores = tuple(s + by for s in self.scores)
        return replace(
            self, scores=scores, effects=plain, crowding_effects=crowding, made_from=made_from
        )

    def mapped(self, pivot: float, to: float, scale: float) -> ReferenceTable:
        """The same table with every score x moved to `to + (x - pivot) * scale`.

        What it then says is of scores less the crowd's share, so of its crowds only the share is
        left, as it was.
        """
        scores = tuple(to + (s - pivot) * scale for s in self.scores)
        plain, crowding = (
            tuple(replace(row, centre=0.0, spread=1.0, stretch=1.0) for row in rows)
            for rows in (self.effects, self.crowding_effects)
        )
        return replace(self, scores=scores, effects=plain, crowding_effects=crowding)

    def median(self, n: int) -> float:
        """The median of the best of n >= 1 non-mated scores."""
        return self.threshold(0.5, n)

    def spread(self, n: int, low: float, high: float) -> float:
        """From the `low` to the `high` quantile of the best of n >= 1 non-mated scores."""
        return self.threshold(1 - high, n) - self.threshold(1 - low, n)

    def effect(self, n: int) -> CrowdEffect:
        """What resembling many people does to searches among n subjects, off whoever it is taken.

        Between the measured rows linear in log n, beyond them as the nearest; but the likeness,
        which goes on as the score at the crowd's middle rank does.
        """
        return self._effect(self.effects, n)

    def deciding_effect(self, n: int) -> CrowdEffect:
        """The same, off those alone whom it is taken off before it is decided."""
        return self._effect(self.crowding_effects if self.crowding else self.effects, n)

    def kinds(self, vectors: Float32) -> Float64:
        """(n,) in [0, 1], how far the crowd's share is taken off these faces. vectors: (n, d)."""
        return self.crowding.likeness(vectors) if self.crowding else np.ones(len(vectors))

    def off_all(self) -> ReferenceTable:
        """The same table for faces of whatever kind."""
        return replace(self, crowding=None, crowding_effects=())

    def _effect(self, effects: tuple[CrowdEffect, ...], n: int) -> CrowdEffect:
        if not effects or n < effects[0].n:
            return NO_EFFECT
        rows = np.array([astuple(row) for row in effects], np.float64)
        x, at = np.log(rows[:, 0]), np.log(n)
        found = CrowdEffect(n, *(float(np.interp(at, x, column)) for column in rows[:, 1:].T))
        last = effects[-1].n
        if n <= last:
            return found
        rank = (FIRST + LAST) / 2
        more = self.score(rank / (n + 1)) - self.score(rank / (last + 1))
        return replace(found, likeness=found.likeness + more)

    def mean(self) -> float:
        """The mean non-mated score: the integral of the scores over the probabilities."""
        tails = np.concatenate([[1.0], self.tails, [0.0]])
        scores = np.concatenate([self.scores[:1], self.scores, self.scores[-1:]])
        return float(np.sum((tails[:-1] - tails[1:]) * (scores[:-1] + scores[1:]) / 2))

    def to_json(self) -> str:
        """One JSON object with the fields above and the format's number."""
        return json.dumps(
            {
                "format": FORMAT,
                "made_from": self.made_from,
                "subjects": self.subjects,
                "comparisons": self.comparisons,
                "tails": self.tails,
                "scores": self.scores,
                "effects": [astuple(row) for row in self.effects],
                "embedder": self.embedder_id,
                "margins": self.margins,
                **(
                    {
                        "crowding": self.crowding.facts(),
                        "crowding_effects": [astuple(row) for row in self.crowding_effects],
                    }
                    if self.crowding
                    else {}
                ),
            }
        )

    def _scores(self, tails: Float64) -> Float64:
        """`score` for each of (n,) probabilities."""
        x, y = np.log10(self.tails)[::-1], np.asarray(self.scores)[::-1]
        found = np.interp(np.log10(tails), x, y)
        beyond = tails < self.tails[-1]
        if beyond.any():
            further = np.array([_deviate(tail) for tail in tails[beyond]])
            found[beyond] = y[0] + self._slope() * (further - _deviate(self.tails[-1]))
        return np.asarray(found, np.float64)

    def _slope(self) -> float:
        """Change of score per standard deviate over the last two decades, above 0."""
        last = np.asarray(self.tails) <= 100 * self.tails[-1]
        x = np.array([_deviate(t) for t in np.asarray(self.tails)[last]])
        return max(1e-6, float(np.polyfit(x, np.asarray(self.scores)[last], 1)[0]))


def _deviate(tail: float) -> float:
    """What a standard normal variable exceeds with probability `tail` in (0, 1)."""
    return -NormalDist().inv_cdf(tail)


def from_scores(
    scores: Float32 | Float64, subjects: int, made_from: str, weights: Float64 | None = None
) -> ReferenceTable:
    """A table of non-mated scores.

    scores: (n,) cosines. weights: (n,), so that a person with many photos counts once; None for
    equal ones. Ends where the scores do: no tail thinner than 10 comparisons (of equal weight) is
    stated.
    Raises CalibrationError for scores that are too few or not finite.
    """
    if len(scores) < FEWEST_SCORES or not np.isfinite(scores).all():
        raise CalibrationError(f"a table takes at least {FEWEST_SCORES} scores, all of them finite")
    order = np.argsort(scores)
    ranked = np.asarray(scores, np.float64)[order]
    mass = np.ones(len(ranked)) if weights is None else np.asarray(weights, np.float64)[order]
    above = 1 - np.cumsum(mass) / mass.sum()
    effective = mass.sum() ** 2 / (mass**2).sum()  # Kish: as many equal weights tell as much
    tails = TAILS[TAILS * effective >= FEWEST_BEHIND]
    places = np.clip(np.searchsorted(-above, -tails), 0, len(ranked) - 1)
    values = np.maximum.accumulate(ranked[places])
    return ReferenceTable(
        tuple(map(float, tails)), tuple(map(float, values)), subjects, len(ranked), made_from
    )


def from_json(text: str) -> ReferenceTable:
    """Raises ModelError when the text is no table of this format."""
    try:
        data = json.loads(text)
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']}")
        table = ReferenceTable(
            tuple(map(float, data["tails"])),
            tuple(map(float, data["scores"])),
            int(data["subjects"]),
            int(data["comparisons"]),
            str(data["made_from"]),
            _effects(data.get("effects", ())),
            str(data.get("embedder", "")),
            tuple(map(float, data.get("margins", ()))),
            face_kinds.from_facts(data["crowding"]) if "crowding" in data else None,
            _effects(data.get("crowding_effects", ())),
        )
        if not _is_tail(table):
            raise ValueError("not a falling tail")
        if not (_are_effects(table.effects) and _are_effects(table.crowding_effects)):
            raise ValueError("not the effects of a crowd")
        if not all(0 < margin <= 2 for margin in table.margins):
            raise ValueError("not margins between twins")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ModelError(f"not a reference table that this facecli can read: {error}") from error
    return table


def _effects(rows: Iterable[Sequence[float]]) -> tuple[CrowdEffect, ...]:
    return tuple(CrowdEffect(int(n), *map(float, row)) for n, *row in rows)


def _is_tail(table: ReferenceTable) -> bool:
    """True where probabilities fall within (0, 1), scores rise, and the slope has two entries."""
    tails, scores = np.asarray(table.tails), np.asarray(table.scores)
    return bool(
        len(tails) == len(scores) >= MIN_ENTRIES
        and np.isfinite(scores).all()
        and 0 < tails[-1] < tails[-2] <= 100 * tails[-1]
        and tails[0] < 1
        and (np.diff(tails) < 0).all()
        and (np.diff(scores) >= 0).all()
    )


def _are_effects(rows: tuple[CrowdEffect, ...]) -> bool:
    """True where n rises, all is finite, and neither spread nor stretch turns scores round."""
    return bool(
        all(np.isfinite(astuple(row)).all() for row in rows)
        and (np.diff([row.n for row in rows], prepend=0) > 0).all()
        and all(row.spread > 0 and row.stretch > 0 for row in rows)
    )


def from_file(path: Path, embedder_id: str) -> ReferenceTable:
    """The table of this embedder, whatever it is called here: weights and preprocessing count.

    Raises ModelError where it is none, or another's.
    """
    try:
        table = from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"the reference table {path} cannot be read: {error}") from error
    if table.embedder_id.partition(":")[2] != embedder_id.partition(":")[2]:
        raise ModelError(
            f"the reference table {path} is of {table.embedder_id or 'no embedder it names'}, not "
            f"of {embedder_id}: its scores would not fit. Install facecli again, or make it anew "
            "with models/make/make_reference_table.py"
        )
    return table
