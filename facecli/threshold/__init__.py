"""Where the threshold in force comes from: the embedder's table, the gallery's own people, a target
rate (`operating_point`); pairs (`from_pairs`) or strangers (`from_strangers`) of the user's own.

It may import `storage`, `recognition` and what lies below, and must never decide about a face.
"""
