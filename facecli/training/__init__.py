"""An embedder adapted to a camera or a population, and an honest word on whether it is better.

The losses of the ArcFace paper (`losses`) and their curves (`curves`), people split into those to
train on, to choose by and to report on (`people`), crops as the pipeline makes them (`crops`), the
part of a network that is trained (`network`), the epochs (`loop`), what is measured before and
after (`measure`), the model that comes out (`export`), the whole of it (`train`), and eight people
in two dimensions (`picture`).

It needs the extra `train`: only `extra`, `people`, `crops`, `degrade` and `measure` can be imported
without torch. It may import `evaluation` and what lies below. It must never know the command line,
and writes no gallery.
"""
