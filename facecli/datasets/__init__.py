"""Photos, names and pairs as users have them: folders and flat files (`labels`), pairs to compare
(`pairs`), and the tables that both may be written in (`csv_tables`). `regions` are the names that
other programs gave to faces, `matching` says whose face each is around,
`sidecars` writes names beside photos.

Whether a file really is a photo is not known here: `recognition` finds that out when it reads it.
It may import `common`, and must never know a gallery or a model.
"""
