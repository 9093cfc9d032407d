"""Scores to error rates, each with its counts and an interval: arrays in, numbers out.

`rates`: scores with their failures, and thresholds from counts. `intervals`: how sure a rate is;
`by_subject`: the same where trials share people. `verification`: 1:1, FMR and FNMR.
`identification`: 1:N with strangers, FPIR and FNIR. `reference_table`: the score that strangers
reach with a given probability. `gallery_fit`: how a gallery's own people differ from that table's.
It may import `common`, and must never know a photo, a model or a gallery.
"""
