"""Where the threshold in force comes from.

operating_point: from a table of non-mated scores, the gallery's own people and a target rate.
from_pairs, from_strangers: from photos of the user's own, measured.
It may import `storage`, `recognition`, `datasets` and what lies below. It must never decide about a
face: `common.decision` does.
"""
