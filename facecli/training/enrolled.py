"""People of a training set who are enrolled somewhere: what is measured there then flatters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facecli.common.decision import accepts
from facecli.common.names import name_key
from facecli.common.types import Float32
from facecli.recognition.model_zoo.specs import EmbedderSpec
from facecli.storage.interface import Storage
from facecli.threshold import operating_point
from facecli.threshold.operating_point import Measured, ThresholdInputs


@dataclass(frozen=True, slots=True)
class Overlap:
    """names: enrolled under the same name. photos: whose very photo is enrolled, whatever the name.
    faces: whose face the gallery identifies, at its threshold; None where another embedder made it.
    """

    names: tuple[str, ...]
    photos: tuple[str, ...]
    faces: tuple[str, ...] | None

    @property
    def people(self) -> tuple[str, ...]:
        """All of them, once each."""
        return tuple(dict.fromkeys((*self.names, *self.photos, *(self.faces or ()))))


def overlap(
    storage: Storage,
    spec: EmbedderSpec,
    photos: Mapping[str, Sequence[str]],
    means: Mapping[str, Float32],
) -> Overlap:
    """photos: the sha256 of each person's photos. means: each one's (d,) mean template of `spec`.

    Raises GalleryError where the gallery cannot be read.
    """
    reader = storage.reader
    there = {name_key(row.name) for row in reader.subjects()}
    enrolled = {row.photo_sha256 for row in reader.references()}
    faces = None
    if reader.embedder_id == spec.embedder_id and there and means:
        inputs = ThresholdInputs.of(storage, Measured.of(spec))
        threshold = operating_point.in_force(inputs).threshold
        best = (np.stack(list(means.values())) @ reader.templates().templates.T).max(axis=1)
        named = accepts(best.astype(np.float64), threshold)
        faces = tuple(name for name, one in zip(means, named, strict=True) if one)
    return Overlap(
        tuple(name for name in photos if name in there),
        tuple(name for name, own in photos.items() if enrolled & set(own)),
        faces,
    )
