"""Scores to error rates, each with its counts and an interval.

rates: scores with their failures, and thresholds from counts. intervals: how sure a rate is.
people: the same where trials share people. verification: 1:1, FMR and FNMR.
identification: 1:N with strangers, FPIR and FNIR.
"""
