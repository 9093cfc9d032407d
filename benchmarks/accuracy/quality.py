"""Quality by its error-versus-reject curve, on lfw-dev and degraded copies of its photos.

    python -m benchmarks.accuracy.quality ../shared/lfw-dev [--subjects 250] [--model NAME]

Each subject's first photo is the reference, as it is. The second is the probe: as it is, and
degraded in fourteen ways, for LFW itself is clean. The threshold is at FMR 1e-3 on the clean
photos, and stays. FNMR is then told of what is left when the photos of the lowest quality are
rejected; the area under it up to half of them rejected is the figure: random rejection leaves it
at the FNMR of all, the oracle rejects the misses first. Then what enrolment's bar refuses, of each
kind and of all lfw-dev. Probes without a face are failures to acquire: counted, and in no curve.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.accuracy import protocol
from facecli.common.parallel import ordered
from facecli.common.types import Face, FaceTemplate, FailureToAcquire, Image
from facecli.recognition import images
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor
from facecli.recognition.quality import DEFAULT_BAR, eye_distance

FMR, REJECTED = 1e-3, np.linspace(0, 0.5, 51)
LFW_FACE = 95.0  # px: how wide LFW's faces are
FULL_EYE_DISTANCE = 40.0  # px, of the former quality


def blur(sigma: float) -> Callable[[Image], Image]:
    return lambda image: cv2.GaussianBlur(image, (0, 0), sigma)


def motion(pixels: int) -> Callable[[Image], Image]:
    kernel = np.zeros((pixels, pixels), np.float32)
    kernel[pixels // 2] = 1 / pixels
    return lambda image: cv2.filter2D(image, -1, kernel)


def small(face: float) -> Callable[[Image], Image]:
    k = face / LFW_FACE
    return lambda image: cv2.resize(image, None, fx=k, fy=k, interpolation=cv2.INTER_AREA)


def dark(gain: float) -> Callable[[Image], Image]:
    def apply(image: Image) -> Image:
        noise = np.random.default_rng(int(image.sum()) % 2**32).normal(0, 4, image.shape)
        return np.clip(image * gain + noise, 0, 255).astype(np.uint8)

    return apply


def occluded(rows: slice, columns: slice, colour: tuple[int, int, int]) -> Callable[[Image], Image]:
    def apply(image: Image) -> Image:
        covered = image.copy()
        covered[rows, columns] = colour
        return covered

    return apply


def jpeg(image: Image) -> Image:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 8])[1], 1)


KINDS: dict[str, Callable[[Image], Image]] = {
    "clean": lambda image: image,
    "blur, sigma 2 px": blur(2), "blur, sigma 4 px": blur(4), "blur, sigma 6 px": blur(6),
    "motion, 15 px": motion(15),
    "face of 40 px": small(40), "face of 28 px": small(28),
    "face of 20 px": small(20), "face of 16 px": small(16),
    "dark, 15 %": dark(0.15), "dark, 6 %": dark(0.06),
    "eyes covered": occluded(slice(100, 125), slice(75, 175), (20, 20, 20)),
    "mouth covered": occluded(slice(135, 185), slice(80, 170), (200, 190, 180)),
    "half covered": occluded(slice(60, 190), slice(60, 125), (60, 60, 60)),
    "JPEG, quality 8": jpeg,
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """(n,) kinds, mated scores and faces of those acquired; failures by kind. threshold: cosine."""

    kinds: np.ndarray
    scores: np.ndarray
    faces: tuple[Face, ...]
    failures: dict[str, int]
    threshold: float

    @property
    def missed(self) -> np.ndarray:
        return self.scores < self.threshold


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--subjects", type=int, default=250)
    parser.add_argument("--model")
    args = parser.parse_args()
    extractor = Extractor.load(registry.find_embedder(args.model))
    curves(measured(extractor, args.root, args.subjects))
    refused(extractor, args.root)


def measured(extractor: Extractor, root: Path, subjects: int) -> Probes:
    """The references and every kind of probe through the one path."""
    jobs = list(_jobs(root, subjects))

    def found(job: tuple[int, str | None, Path]) -> FaceTemplate | None:
        image = images.decode(job[2].read_bytes(), str(job[2]))
        assert not isinstance(image, FailureToAcquire)
        return next(iter(extractor.image(KINDS[job[1] or "clean"](image), "").faces), None)

    results = list(zip(jobs, ordered(found, jobs), strict=True))
    references = {s: f.template.vector for (s, kind, _), f in results if f and kind is None}
    there = [(s, kind, f) for (s, kind, _), f in results if kind and f and s in references]
    lost = [kind for (_, kind, _), f in results if kind and f is None]
    gallery, owners = np.stack(list(references.values())), np.array(list(references))
    nonmated = np.concatenate(
        [(gallery @ f.template.vector)[owners != s] for s, kind, f in there if kind == "clean"]
    )
    return Probes(
        np.array([kind for _, kind, _ in there]),
        np.array([references[s] @ f.template.vector for s, _, f in there]),
        tuple(f.face for _, _, f in there),
        {kind: lost.count(kind) for kind in KINDS},
        float(np.quantile(nonmated, 1 - FMR)),
    )


def _jobs(root: Path, subjects: int) -> Iterator[tuple[int, str | None, Path]]:
    """(subject, kind, photo); the kind of a reference is None."""
    dropped, renamed = protocol.corrections(root / "label-corrections.csv")
    photos: dict[str, list[Path]] = {}
    for path in sorted((root / "photos").glob("*/*.jpg")):
        if path.name not in dropped:
            photos.setdefault(renamed.get(path.parent.name, path.parent.name), []).append(path)
    names = sorted(name for name, paths in photos.items() if len(paths) > 1)
    for number, name in enumerate(np.random.default_rng(0).permutation(names)[:subjects]):
        yield number, None, photos[name][0]
        for kind in KINDS:
            yield number, kind, photos[name][1]


def former(face: Face) -> float:
    """The quality before it was measured: detection score, size and frontality, geometric mean."""
    left, right, nose = (p.astype(float) for p in face.landmarks[:3])
    along = float((nose - left) @ (right - left)) / max(eye_distance(face), 1e-6) ** 2
    frontality = float(np.clip(1 - 2 * abs(along - 0.5), 0, 1))
    size = min(1.0, eye_distance(face) / FULL_EYE_DISTANCE)
    return float((face.detection_score * size * frontality) ** (1 / 3))


def curves(probes: Probes) -> None:
    """The area under each measure's curve, and what the bar refuses of each kind."""
    missed = probes.missed
    print(f"{len(missed)} probes, threshold {probes.threshold:.3f} at FMR {FMR:g}")
    print("error-versus-reject: FNMR with 0, 10, 20, 30 % rejected; area up to 50 %")
    measures = {
        "random": None,
        "the former quality": [former(f) for f in probes.faces],
        "eye distance": [eye_distance(f) for f in probes.faces],
        "detection score": [f.detection_score for f in probes.faces],
        "sharpness": [f.sharpness for f in probes.faces],
        "quality": [f.quality for f in probes.faces],
        "oracle": list(probes.scores),
    }
    for name, values in measures.items():
        curve = np.full(len(REJECTED), missed.mean()) if values is None else _curve(values, missed)
        points = "  ".join(f"{curve[i]:6.1%}" for i in (0, 10, 20, 30))
        print(f"  {name:20}{points}   area {np.mean(curve):.4f}")
    low = np.array([f.quality for f in probes.faces]) < DEFAULT_BAR
    below, above = missed[low].mean(), missed[~low].mean()
    print(f"below the bar of {DEFAULT_BAR}: FNMR {below:.1%}; above it {above:.1%}")
    for kind in KINDS:
        of = probes.kinds == kind
        print(
            f"  {kind:20}refused {low[of].mean():6.1%}   FNMR {missed[of].mean():6.1%}   "
            f"no face {probes.failures[kind]} of {probes.failures[kind] + of.sum()}"
        )


def _curve(values: list[float], missed: np.ndarray) -> np.ndarray:
    """FNMR of what is left, the lowest values rejected first."""
    ranked = missed[np.argsort(values, kind="stable")]
    return np.array([ranked[round(share * len(ranked)) :].mean() for share in REJECTED])


def refused(extractor: Extractor, root: Path) -> None:
    """Failures to enrol at the default bar, on every photo of lfw-dev."""
    paths = sorted((root / "photos").glob("*/*.jpg"))
    qualities, failures = [], 0
    for photo in extractor.photos(paths):
        if isinstance(photo, FailureToAcquire) or not photo.faces:
            failures += 1
        else:
            qualities.append(photo.faces[0].face.quality)
    low = int(np.count_nonzero(np.array(qualities) < DEFAULT_BAR))
    print(
        f"lfw-dev as it is: {failures} of {len(paths)} failed to acquire (must be 0), "
        f"{low} refused for quality ({low / len(paths):.2%}, must be below 0.5 %)"
    )


if __name__ == "__main__":
    main()
