"""From a photo's bytes to faces with templates: the one path that every command uses.

Read and turn upright (`images`), find faces (`detector`), bring them to 112 x 112 px (`alignment`),
judge them (`quality`), make templates (`embedder`); `pipeline` is all of it, `distributed` the same
on other machines. It may import `metrics` and `common`, and must never know a gallery.
"""
