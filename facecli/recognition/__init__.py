"""From a photo's bytes to faces with templates: the one path that every command uses.

Read and turn upright (`images`), find faces (`detector`, by the network in `yunet`), bring them to
112 x 112 px (`alignment`), judge them (`quality`), make templates (`embedder`; `selftest` proves a
device on known faces). Of a video's frames few faces are embedded: `glimpses`. `pipeline` is all of
it, `distributed` the same on other machines; which models there are, and how they run, is in
`model_zoo`. It may import `common`, and must never know
a gallery or a threshold.
"""
