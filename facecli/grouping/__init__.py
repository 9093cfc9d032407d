"""People without names: faces that nobody labelled, grouped by person.

links: which faces are one person's, from their templates alone. regroup: the same for the faces of
a grouping file, where what a person decided stays. review: which faces of a group to look at.
export: a folder for each group.
It may import what lies below it: threshold, storage, recognition, datasets, metrics, common. It
must never look for a face in a photo, know a gallery's verbs, nor print; who is enrolled is
`gallery`'s to ask.
"""
