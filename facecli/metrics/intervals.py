"""How sure an observed error rate is.

An undefined rate (no trials) is NaN with the interval [0, 1], never 0.
Sources: Clopper & Pearson, Biometrika 26 (1934); Wilson, JASA 22 (1927); ISO/IEC 19795-1:2021
(rule of 3, rule of 30); Doddington et al., "The NIST speaker recognition evaluation", Speech
Communication 31 (2000) (rule of 30).
"""

from __future__ import annotations

import math
from bisect import bisect_right

from scipy.special import betainc, betaincinv, ndtri

from facecli.common.types import Interval
from facecli.metrics.rates import check_rate


def clopper_pearson(errors: int, trials: int, level: float = 0.95) -> Interval:
    """The exact binomial interval, two-sided; for independent trials it covers at least `level`.

    Raises ValueError unless 0 <= errors <= trials and 0 < level < 1.
    """
    _check_counts(errors, trials, level)
    tail = (1 - level) / 2
    low = float(betaincinv(errors, trials - errors + 1, tail)) if errors else 0.0
    high = float(betaincinv(errors + 1, trials - errors, 1 - tail)) if errors < trials else 1.0
    return Interval(_rate(errors, trials), low, high, errors, trials, level, "Clopper-Pearson")


def wilson(errors: int, trials: int, level: float = 0.95, design_effect: float = 1.0) -> Interval:
    """The Wilson score interval with the number of trials divided by the design effect.

    design_effect: how many times the variance exceeds that of independent trials, at least 1
        (see `by_subject.dyadic_design_effect`). The interval's counts stay those observed.
    Raises ValueError for impossible counts, level or design effect.
    """
    _check_counts(errors, trials, level)
    if not 1 <= design_effect < math.inf:
        raise ValueError(f"a design effect is finite and at least 1, not {design_effect}")
    method = "Wilson" if design_effect < 1.005 else f"Wilson, design effect {design_effect:.3g}"
    if trials == 0:
        return Interval(math.nan, 0.0, 1.0, errors, trials, level, method)
    rate = errors / trials
    n = trials / design_effect
    z2 = float(ndtri((1 + level) / 2)) ** 2
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (rate * (1 - rate) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # At 0 and at 1 one end is exact; rounding must not push it past the rate.
    low = max(0.0, centre - half) if errors else 0.0
    high = min(1.0, centre + half) if errors < trials else 1.0
    return Interval(rate, low, high, errors, trials, level, method)


def complement(interval: Interval) -> Interval:
    """The interval of 1 - rate; its `errors` counts the other trials (hits for misses)."""
    return Interval(
        rate=1 - interval.rate,
        low=1 - interval.high,
        high=1 - interval.low,
        errors=interval.trials - interval.errors,
        trials=interval.trials,
        level=interval.level,
        method=interval.method,
    )


def rule_of_three(trials: int) -> float:
    """The rate that no errors in `trials` independent trials show at 95 %: at most 3 / trials.

    At most 1; NaN without trials. ISO/IEC 19795-1.
    """
    _check_counts(0, trials, 0.95)
    return min(1.0, 3 / trials) if trials else math.nan


def trials_for_rule_of_three(rate: float) -> int:
    """The independent trials without an error that show a rate of at most `rate` at 95 %."""
    return _trials_for(3, rate)


def trials_for_rule_of_30(rate: float) -> int:
    """The independent trials in which 30 errors are expected at `rate`.

    With 30 errors the true rate is within 30 % of the observed one at 90 % confidence
    (Doddington). Raises ValueError unless 0 < rate < 1.
    """
    return _trials_for(30, rate)


def assured_errors(rate: float, trials: int, assurance: float) -> int | None:
    """The most errors in `trials` that still prove a rate of at most `rate`.

    The one-sided Clopper-Pearson bound at confidence `assurance`; equally the order statistic
    whose exceedance, Beta(k + 1, trials - k), is at most `rate` with that probability (Wilks,
    1941). None where not even 0 errors would prove it.
    """
    check_rate(rate, "the target")
    check_rate(assurance, "the assurance")

    def falling_short(errors: int) -> float:
        return -float(betainc(errors + 1, trials - errors, rate))

    enough = bisect_right(range(trials), -assurance, key=falling_short)
    return enough - 1 if enough else None


def assurable_rate(trials: int, assurance: float = 0.95) -> float:
    """The lowest rate that `trials` without an error prove: 1 - (1 - assurance)^(1 / trials)."""
    return -math.expm1(math.log1p(-assurance) / trials) if trials else 1.0


def trials_to_assure(rate: float, assurance: float) -> int:
    """The fewest trials that, without an error, prove `rate`: 299 for 1 % at 95 %."""
    return math.ceil(math.log1p(-assurance) / math.log1p(-rate))


def _trials_for(errors: int, rate: float) -> int:
    check_rate(rate, "the rate")
    # Rounded first, so that 30 / 3e-4 is 100,000 and not the next float's 100,001.
    return math.ceil(round(errors / rate, 6))


def _rate(errors: int, trials: int) -> float:
    return errors / trials if trials else math.nan


def _check_counts(errors: int, trials: int, level: float) -> None:
    check_rate(level, "the level")
    if not 0 <= errors <= trials:
        raise ValueError(f"{errors} errors in {trials} trials cannot be")
