"""Scores to error rates, each with its counts and an interval.

rates: scores with their failures, and thresholds from counts. intervals: how sure a rate is.
people: the same where trials share people. verification: 1:1, FMR and FNMR.
identification: 1:N with strangers, FPIR and FNIR.
"""

from facecli.metrics.identification import (
    IdentificationRates,
    Searches,
    assured_threshold,
    cmc,
    conformal_threshold,
    fnir_fpir_curve,
    identification_rates,
    threshold_for_fpir,
)
from facecli.metrics.intervals import (
    assurable_rate,
    clopper_pearson,
    complement,
    rule_of_three,
    trials_for_rule_of_30,
    trials_for_rule_of_three,
    wilson,
)
from facecli.metrics.people import (
    bootstrap_by_subject,
    dyadic_design_effect,
    pair_interval,
    search_interval,
)
from facecli.metrics.rates import Scores
from facecli.metrics.verification import (
    Curve,
    EqualErrorRate,
    VerificationRates,
    best_accuracy,
    det,
    eer,
    error_rates,
    fnmr_at_fmr,
    tenfold_accuracy,
    threshold_for_fmr,
)

__all__ = [
    "Curve",
    "EqualErrorRate",
    "IdentificationRates",
    "Scores",
    "Searches",
    "VerificationRates",
    "assurable_rate",
    "assured_threshold",
    "best_accuracy",
    "bootstrap_by_subject",
    "clopper_pearson",
    "cmc",
    "complement",
    "conformal_threshold",
    "det",
    "dyadic_design_effect",
    "eer",
    "error_rates",
    "fnir_fpir_curve",
    "fnmr_at_fmr",
    "identification_rates",
    "pair_interval",
    "rule_of_three",
    "search_interval",
    "tenfold_accuracy",
    "threshold_for_fmr",
    "threshold_for_fpir",
    "trials_for_rule_of_30",
    "trials_for_rule_of_three",
    "wilson",
]
