"""Results to text: tables for people, JSON and CSV for programs. Returns strings, prints nothing.

formats: any result. decisions: identify and verify. people: enroll and gallery.
custody: undo, purge, repair, log. reembedding. threshold.
"""
