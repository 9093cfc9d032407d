"""What levels groups costs people of the majority: other rules on the same scores.

    python -m benchmarks.accuracy.fairness ../shared/lfw-dev ../shared/populations --cache DIR

Each rule takes something off every score. Its threshold is the one that names 1 % (or 10 %) of
LFW's strangers in hindsight, so that only what a rule takes off is compared, not how well it aims.
Left: DIR of LFW's people in galleries of their own. Right: galleries of 200 of which a tenth is of
another group; strangers of that group named, the mean over the adult groups and the highest, and
how far the groups' rates lie apart at 10 %. Children of 4 to 12 years beside them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tabulate import tabulate

from benchmarks.accuracy import fpir, mixed, protocol
from benchmarks.accuracy.mixed import EVEN, SIZE
from benchmarks.accuracy.rules import TARGET
from benchmarks.accuracy.tables import CROWDING_STEEPER
from facecli.common.decision import accepts
from facecli.metrics.crowd import crowd
from facecli.metrics.face_kinds import FaceKind
from facecli.metrics.identification import threshold_for_fpir
from facecli.recognition.model_zoo import registry
from facecli.threshold.operating_point import built_in_table

SIZES, SPLITS = (50, 200, 600), 12
TENTH, DRAWS = SIZE // 10, 16
NEAREST = 30  # that AS-norm takes
HEAD = ("rule", *(f"DIR, N {n}" for n in SIZES), "minorities", "highest", "at 10%", "ratio",
        "children")  # fmt: skip
Rule = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(n, d) templates, (m, d) probes and (k, d) other strangers to (m, n) scores."""


@dataclass(frozen=True, slots=True, eq=False)
class Searches:
    """Strangers, others, and mated probes of `owners` searched for among `gallery`."""

    gallery: np.ndarray
    reference: np.ndarray
    strangers: np.ndarray
    mated: np.ndarray
    owners: np.ndarray
    others: np.ndarray

    def rates(self, rule: Rule) -> tuple[float, float, float]:
        """DIR at TARGET; the others named at TARGET and at EVEN, NaN without any."""
        usual = rule(self.gallery, self.strangers, self.reference).max(axis=1)
        strict, lax = (threshold_for_fpir(usual, aim) for aim in (TARGET, EVEN))
        scores = rule(self.gallery, self.mated, self.reference)
        found = accepts(scores.max(axis=1), strict) & (scores.argmax(axis=1) == self.owners)
        if not len(self.others):
            return float(found.mean()), float("nan"), float("nan")
        best = rule(self.gallery, self.others, self.reference).max(axis=1)
        return float(found.mean()), *(float(accepts(best, limit).mean()) for limit in (strict, lax))


def levelled(probe: float, candidate: float) -> Rule:
    """Off go `probe` times what resembling many people is worth, and `candidate` times how much
    more the candidate resembles its own crowd than the median one does."""

    def rule(gallery: np.ndarray, probes: np.ndarray, reference: np.ndarray) -> np.ndarray:
        own = _others(gallery)
        dense = crowd(own)
        taken = candidate * (dense - np.median(dense))[None, :]
        usual = reference @ gallery.T
        alike = crowd(usual)
        slope = np.cov((usual - taken).max(axis=1), alike)[0, 1] / alike.var()
        scores = probes @ gallery.T
        return scores - taken - probe * slope * (crowd(scores) - alike.mean())[:, None]

    return rule


def off_kind(kind: FaceKind, steeper: float) -> Rule:
    """What ships: `steeper` times what resembling many people is worth, as far as the face is of
    the kind."""

    def rule(gallery: np.ndarray, probes: np.ndarray, reference: np.ndarray) -> np.ndarray:
        usual = reference @ gallery.T
        alike = crowd(usual)
        slope = steeper * np.cov(usual.max(axis=1), alike)[0, 1] / alike.var()
        scores = probes @ gallery.T
        taken = slope * kind.likeness(probes) * (crowd(scores) - alike.mean())
        return np.asarray(scores - taken[:, None])

    return rule


def normed(gallery: np.ndarray, probes: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """AS-norm: both sides' score in deviations of their nearest NEAREST (Matejka et al., 2017)."""
    scores = probes @ gallery.T
    near = -np.sort(-scores, axis=1)[:, 1 : NEAREST + 1]
    own = -np.sort(-_others(gallery), axis=1)[:, :NEAREST]
    by_probe = (scores - near.mean(axis=1)[:, None]) / near.std(axis=1)[:, None]
    by_candidate = (scores - own.mean(axis=1)[None, :]) / own.std(axis=1)[None, :]
    return np.asarray((by_probe + by_candidate) / 2)


def _others(gallery: np.ndarray) -> np.ndarray:
    """(n, n) scores, of everybody with themselves so low that it counts for nothing."""
    scores = gallery @ gallery.T
    np.fill_diagonal(scores, -2)
    return np.asarray(scores)


RULES: dict[str, Rule] = {
    "the score as it is": levelled(0, 0),
    "half of the crowd's share": levelled(0.5, 0),
    "the crowd's share": levelled(1, 0),
    "1.3 times it": levelled(1.3, 0),
    "1.5 times it": levelled(1.5, 0),
    "half of the candidate's": levelled(0, 0.5),
    "half of both": levelled(0.5, 0.5),
    "it, and half of the candidate's": levelled(1, 0.5),
    "both": levelled(1, 1),
    "AS-norm": normed,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("populations", type=Path)
    parser.add_argument("--models", nargs="+", default=list(mixed.MODELS))
    parser.add_argument("--cache", type=Path, help="a folder for templates")
    args = parser.parse_args()
    for model in args.models:
        people = protocol.load(args.root, model, args.cache)
        groups = dict(mixed.groups_of(args.populations, mixed.MODELS[model]))
        alone = {n: _alone(people, n) for n in SIZES}
        with_others = {
            name: [_among(people, vectors, seed) for seed in range(DRAWS)]
            for name, vectors in groups.items()
        }
        print(f"\n{model}: thresholds in hindsight; a tenth of {SIZE} of another group")
        table = built_in_table(registry.find_embedder(model))
        assert table is not None and table.crowding is not None
        ships = off_kind(table.crowding, CROWDING_STEEPER[model])
        rules = {**RULES, "as it ships": ships}
        rows = [_row(name, rule, alone, with_others) for name, rule in rules.items()]
        print(tabulate(rows, HEAD, disable_numparse=True), flush=True)


def _row(
    name: str,
    rule: Rule,
    alone: dict[int, list[Searches]],
    with_others: dict[str, list[Searches]],
) -> tuple[str, ...]:
    found = [_mean(searches, rule)[0] for searches in alone.values()]
    rates = {group: _mean(searches, rule) for group, searches in with_others.items()}
    adults = np.array([rate for group, rate in rates.items() if not group.endswith(mixed.YOUNG)])
    even = adults[:, 2]
    return (
        name, *(f"{rate:.1%}" for rate in found), f"{adults[:, 1].mean():.1%}",
        f"{adults[:, 1].max():.1%}", f"{even.mean():.1%}", f"{even.max() / even.min():.1f}",
        f"{rates[mixed.YOUNG[0]][1]:.1%}",
    )  # fmt: skip


def _mean(searches: Sequence[Searches], rule: Rule) -> np.ndarray:
    return np.asarray(np.mean([one.rates(rule) for one in searches], axis=0))


def _alone(people: protocol.People, n: int) -> list[Searches]:
    """Disjoint galleries of LFW's people with several photos, others of one as strangers."""
    made = []
    starts = [start for size, start in fpir.galleries(SIZES) if size == n]
    for seed in range(SPLITS):
        rng = np.random.default_rng(seed)
        enrolled = rng.permutation(people.with_at_least(2))[: SIZES[-1]]
        strangers, reference = _strangers(people, rng)
        for start in starts:
            rows = [rng.permutation(people.rows(one)) for one in enrolled[start : start + n]]
            made.append(
                Searches(
                    people.vectors[[own[0] for own in rows]], reference, strangers,
                    people.vectors[np.concatenate([own[1:] for own in rows])],
                    np.repeat(np.arange(n), [len(own) - 1 for own in rows]),
                    np.empty((0, people.vectors.shape[1]), np.float32),
                )
            )  # fmt: skip
    return made


def _among(people: protocol.People, others: np.ndarray, seed: int) -> Searches:
    """TENTH of others among LFW's people; the rest of them are strangers."""
    rng = np.random.default_rng(seed)
    enrolled = rng.permutation(people.with_at_least(2))[: SIZE - TENTH]
    rows = [rng.permutation(people.rows(one)) for one in enrolled]
    others = rng.permutation(others)
    strangers, reference = _strangers(people, rng)
    first = people.vectors[[own[0] for own in rows]]
    return Searches(
        np.concatenate([first, others[:TENTH]]), reference, strangers,
        people.vectors[[own[-1] for own in rows]], np.arange(len(rows)), others[TENTH:],
    )  # fmt: skip


def _strangers(people: protocol.People, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Who is searched for, and the others, who show what a crowd is worth."""
    photos = people.photo(rng.permutation(people.single()), 0)
    return photos[: fpir.STRANGERS], photos[fpir.STRANGERS :]


if __name__ == "__main__":
    main()
