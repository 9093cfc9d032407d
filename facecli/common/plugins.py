"""Detectors, embedders and indexes by name: the built-in ones here, others by entry point.

A package offers its own with an entry point in `facecli.detectors`, `facecli.embedders` or
`facecli.indexes`; the class must have the shape of the protocol below.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from facecli.common.errors import UsageError
from facecli.common.types import Face, Float32, Image

BUILT_IN = {
    "facecli.detectors": {
        "yunet": "facecli.recognition.detector:YuNet",
        "opencv": "facecli.recognition.detector:opencv",
    },
    "facecli.embedders": {"onnx": "facecli.recognition.embedder:OnnxEmbedder"},
    "facecli.indexes": {"flat": "facecli.storage.search.flat:FlatIndex"},
}


class Detector(Protocol):
    """Finds faces; one instance serves all threads.

    It may have a second, quicker way for the frames of videos, `glance(image)`: the same faces with
    landmarks near enough to rank them by. `detect(part, (face,))` must then find those again of a
    face that it is told of, in a part of the frame, and return that face first.
    """

    def detect(self, image: Image, known: Sequence[Face] = ()) -> tuple[Face, ...]:
        """Faces of an upright (H, W, 3) uint8 BGR photo, largest first.

        known: a hint, what was found in a smaller copy of it, in px of this one.
        """


class Embedder(Protocol):
    """Makes templates; one instance serves all threads."""

    def embed(self, crops: Image) -> Float32:
        """(n, 112, 112, 3) uint8 BGR crops to (n, d) float32 unit vectors."""


class Index(Protocol):
    """Ranks templates; made from (n, d) float32 unit vectors."""

    def __len__(self) -> int: ...

    def search(self, probes: Float32, k: int) -> tuple[Float32, NDArray[np.int64]]:
        """Scores and rows of the k best templates for (m, d) probes, best first."""


def load(group: str, name: str) -> Any:
    """The class called `name` in `group`. Raises UsageError when there is none that loads."""
    if target := BUILT_IN[group].get(name):
        module, _, attribute = target.partition(":")
        return getattr(import_module(module), attribute)
    from importlib.metadata import entry_points  # 10 ms, which the built-in ones need not wait for

    for entry in entry_points(group=group, name=name):
        try:
            return entry.load()
        except (ImportError, AttributeError) as error:
            raise UsageError(
                f"{entry.value}, offered as {name!r}, does not load: {error}"
            ) from error
    known = ", ".join(sorted({*BUILT_IN[group], *(e.name for e in entry_points(group=group))}))
    raise UsageError(
        f"none of the {group.removeprefix('facecli.')} is called {name!r}: use {known}"
    )
