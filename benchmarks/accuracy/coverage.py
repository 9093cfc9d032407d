"""Do 95 % intervals hold the true rate in 95 of 100 cases? By simulation, rates known.

    python -m benchmarks.accuracy.coverage

Every interval is made by facecli.metrics as `evaluate` makes it. Between 92 and 98 % is met. The
assured threshold promises at least 95 %, whatever the rate, so that is asked of it. Clopper-Pearson
promises it, too, and gives more where few errors are expected: with 500 strangers at 1 %, 5 of
them, it covers 98.0 % by the binomial sum, on the edge.
Trials share people as they do in use: people differ in how easily they are mistaken, and one
person's trials rise and fall together. The naive interval that takes all trials as independent
stands beside each figure.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import ndtr, ndtri
from tabulate import tabulate

from facecli.common.types import Interval
from facecli.metrics.by_subject import pair_interval, search_interval
from facecli.metrics.identification import assured_threshold
from facecli.metrics.intervals import clopper_pearson

RUNS, LEAST, MOST = 1000, 0.92, 0.98
EXACT_LEAST = 0.94  # 95 % less what 1,000 simulations leave to chance
Simulation = Callable[[np.random.Generator], tuple[bool, bool]]


def main() -> None:
    rows = []
    for name, simulate, exact in simulations():
        seeds = [np.random.default_rng(seed) for seed in range(RUNS)]
        covered, naive = np.mean([simulate(rng) for rng in seeds], axis=0)
        met = covered >= EXACT_LEAST if exact else LEAST <= covered <= MOST
        goal = "at least 95%" if exact else f"{LEAST:.0%} to {MOST:.0%}"
        rows.append((name, f"{covered:.1%}", goal, "met" if met else "MISSED", f"{naive:.1%}"))
    header = ("95 % interval, how made", "covers", "must be", "verdict", "naive covers")
    print(tabulate(rows, header, disable_numparse=True))
    print(f"{RUNS} simulations each; standard error of a figure at most 0.9 points")


def simulations() -> list[tuple[str, Simulation, bool]]:
    """Name, one simulated test, and whether it promises at least 95 %."""
    return [
        ("FPIR 1 % from 1,000 strangers: Clopper-Pearson", strangers(1000, 0.01), False),
        ("FPIR 1 % from 2,000 strangers: Clopper-Pearson", strangers(2000, 0.01), False),
        ("FPIR 10 % from 2,000 strangers: Clopper-Pearson", strangers(2000, 0.1), False),
        ("FMR 1 %, all pairs of 100 people: Wilson, dyadic", all_pairs(100, 0.01), False),
        ("FMR 5 %, all pairs of 60 people: Wilson, dyadic", all_pairs(60, 0.05), False),
        ("FMR 1 %, 3,000 pairs of 800 people: Wilson, dyadic", some_pairs(800, 3000, 0.01), False),
        ("FNIR 10 %, 200 people, 1 to 6 searches: bootstrap", searches(200, 0.1), False),
        ("FNIR 5 %, 600 people, 1 to 6 searches: bootstrap", searches(600, 0.05), False),
        ("FPIR at most 1 % assured by 1,000 strangers", assured(1000, 0.01), True),
    ]


def strangers(count: int, rate: float) -> Simulation:
    """One search a stranger."""

    def run(rng: np.random.Generator) -> tuple[bool, bool]:
        errors = rng.random(count) < rate
        found = search_interval(errors, np.arange(count))
        return _holds(found, rate), _holds(found, rate)

    return run


def all_pairs(people: int, rate: float) -> Simulation:
    """Every person against every other; each has an ease of being mistaken (a probit effect)."""
    first, second = np.triu_indices(people, 1)
    return _pairs(first, second, people, rate)


def some_pairs(people: int, pairs: int, rate: float) -> Simulation:
    """Pairs drawn at random, as in a file of pairs."""
    rng = np.random.default_rng(0)
    first = rng.integers(people, size=pairs)
    second = (first + rng.integers(1, people, size=pairs)) % people
    return _pairs(first, second, people, rate)


def _pairs(first: np.ndarray, second: np.ndarray, people: int, rate: float) -> Simulation:
    effect = 0.3  # standard deviation of a person's effect, of a pair's own noise of 1
    limit = float(ndtri(rate)) * np.sqrt(1 + 2 * effect**2)

    def run(rng: np.random.Generator) -> tuple[bool, bool]:
        ease = effect * rng.normal(size=people)
        errors = ease[first] + ease[second] + rng.normal(size=len(first)) < limit
        naive = clopper_pearson(int(errors.sum()), len(errors))
        return _holds(pair_interval(errors, first, second), rate), _holds(naive, rate)

    return run


def searches(people: int, rate: float) -> Simulation:
    """One to six searches a person; a person is as hard to find in each (a probit effect)."""
    owners = np.repeat(np.arange(people), 1 + np.arange(people) % 6)
    effect = 1.0

    def run(rng: np.random.Generator) -> tuple[bool, bool]:
        hard = float(ndtri(rate)) * np.sqrt(1 + effect**2) + effect * rng.normal(size=people)
        errors = rng.random(len(owners)) < ndtr(hard)[owners]
        naive = clopper_pearson(int(errors.sum()), len(errors))
        return _holds(search_interval(errors, owners), rate), _holds(naive, rate)

    return run


def assured(count: int, rate: float) -> Simulation:
    """The threshold that strangers prove with 95 %: how often its true FPIR keeps the promise.

    Naive: their own quantile.
    """

    def run(rng: np.random.Generator) -> tuple[bool, bool]:
        scores = rng.normal(size=count)
        promised = float(ndtr(-assured_threshold(scores, rate)))
        quantile = float(ndtr(-np.quantile(scores, 1 - rate)))
        return promised <= rate, quantile <= rate

    return run


def _holds(interval: Interval, rate: float) -> bool:
    return interval.low <= rate <= interval.high


if __name__ == "__main__":
    main()
