"""Who is most alike, in a gallery file: all templates in memory, or a sidecar that proposes.

`ranker` answers from what `candidates` proposes: `flat` compares all, `quantised` (FAISS) scans
what a `sidecar` holds. Of the storage it may import `interface` and `records`. It must never know
SQL, nor decide about a face: it ranks, and a threshold only says how many are worth proposing.
"""
