"""Photos, names and pairs as users have them: folders, flat files, tables (`labels`, `pairs`).

Whether a file really is a photo is not known here: `recognition` finds that out when it reads it.
It may import `common`, and must never know a gallery or a model.
"""
