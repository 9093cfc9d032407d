"""1:1: do two photos show the same subject?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from facecli.common.decision import accepts
from facecli.common.enums import Basis, DetectorName, Device, Reason, Target
from facecli.common.errors import InputError
from facecli.common.timestamp import now
from facecli.common.types import FailureToAcquire, OperatingPoint, Photo, Probe
from facecli.metrics.face_kinds import FaceKind, child_fault
from facecli.recognition import quality
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor, Source
from facecli.threshold import operating_point
from facecli.threshold.operating_point import ThresholdInputs


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """Two photos compared, the most prominent face of each. score: cosine.

    accepted: the score reaches the operating point's threshold: taken for the same subject.
    faces: how many each photo shows. flaws: what makes a face's template unreliable.
    """

    first: Probe
    second: Probe
    score: float
    accepted: bool
    operating_point: OperatingPoint
    faces: tuple[int, int] = (1, 1)
    flaws: tuple[FailureToAcquire, ...] = ()


def verify(
    extractor: Extractor, first: Source, second: Source, point: OperatingPoint
) -> Verification:
    """Compare two photos at an operating point. Raises InputError for one without a template."""
    photos = tuple(_with_faces(extractor.photo(path)) for path in (first, second))
    one, two = (photo.faces[0] for photo in photos)
    score = float(one.template.vector @ two.template.vector)
    return Verification(
        first=Probe(photos[0].path, 0, one.face),
        second=Probe(photos[1].path, 0, two.face),
        score=score,
        accepted=accepts(score, point.threshold),
        operating_point=point,
        faces=(len(photos[0].faces), len(photos[1].faces)),
        flaws=tuple(_flaws(photos, extractor.spec.small_children())),
    )


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


def _flaws(photos: Sequence[Photo], children: FaceKind | None) -> Iterator[FailureToAcquire]:
    """What makes the most prominent face of a photo less reliable than a score says."""
    for photo in photos:
        found = photo.faces[0]
        if fault := quality.fault(found.face, quality.DEFAULT_BAR):
            yield FailureToAcquire(photo.path, Reason.LOW_QUALITY, fault)
        elif children and (fault := child_fault(children.likeness_of(found.template))):
            yield FailureToAcquire(photo.path, Reason.SMALL_CHILD, fault)


def _with_faces(photo: Photo | FailureToAcquire) -> Photo:
    if isinstance(photo, FailureToAcquire):
        raise InputError(": ".join(filter(None, (photo.path, photo.reason, photo.detail))))
    if not photo.faces:
        raise InputError(f"{photo.path}: no face found; give a photo that shows one")
    return photo
