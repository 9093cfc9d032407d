"""1:1: do two photos show the same subject?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from facecli.common.decision import accepts
from facecli.common.enums import Basis, DetectorName, Device, Target
from facecli.common.errors import InputError
from facecli.common.timestamp import now
from facecli.common.types import FaceTemplate, FailureToAcquire, OperatingPoint, Photo, Probe
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor
from facecli.threshold import operating_point
from facecli.threshold.operating_point import ThresholdInputs


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """Two photos compared, the largest face of each. score: cosine.

    accepted: the score reaches the operating point's threshold: taken for the same subject.
    """

    first: Probe
    second: Probe
    score: float
    accepted: bool
    operating_point: OperatingPoint


def verify(extractor: Extractor, first: Path, second: Path, point: OperatingPoint) -> Verification:
    """Compare two photos at an operating point. Raises InputError for one without a template."""
    one, two = (_largest(extractor.photo(path)) for path in (first, second))
    score = float(one[1].template.vector @ two[1].template.vector)
    return Verification(one[0], two[0], score, accepts(score, point.threshold), point)


def verify_without_gallery(
    first: Path,
    second: Path,
    *,
    model: str | None = None,
    device: Device = Device.AUTO,
    detector: DetectorName = DetectorName.YUNET,
    threshold: float | None = None,
) -> Verification:
    """Compare two photos at the embedder's own table, FMR 1e-4, or at a threshold by hand."""
    spec = registry.find_embedder(model)
    table = operating_point.built_in_table(spec)
    inputs = ThresholdInputs(spec.embedder_id, 1, table)
    if threshold is not None:
        point = operating_point.by_hand(inputs, threshold, now())
    else:
        point = operating_point.at(
            inputs, Target.FMR, operating_point.DEFAULT_FMR, Basis.REFERENCE_TABLE
        )
    return verify(Extractor.load(spec, device, detector), first, second, point)


def _largest(photo: Photo | FailureToAcquire) -> tuple[Probe, FaceTemplate]:
    if isinstance(photo, FailureToAcquire):
        raise InputError(": ".join(filter(None, (photo.path, photo.reason, photo.detail))))
    if not photo.faces:
        raise InputError(f"{photo.path}: no face found; give a photo that shows one")
    return Probe(photo.path, 0, photo.faces[0].face), photo.faces[0]
