"""Does a device compute what the CPU computes? Two known faces, and the templates they must have.

A faulty driver or a reduced precision gives vectors that look like templates and are not. So an
accelerator proves itself on these faces before it is used, and `facecli doctor` asks all devices.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from facecli.common.enums import Device
from facecli.common.errors import DeviceError
from facecli.common.types import Float32, Image
from facecli.recognition.model_zoo.registry import SHIPPED
from facecli.recognition.model_zoo.specs import EmbedderSpec

AGREEMENT = 0.999  # cosine; red for blue gives 0.976, a shift by one pixel 0.991, rounding 0.99999
FILE = SHIPPED / "selftest.npz"  # made by models/make/make_selftest.py

Embed = Callable[[Image], Float32]


def crops() -> Image:
    """Grace Hopper and Eileen Collins, aligned: (2, 112, 112, 3) uint8 BGR."""
    with np.load(FILE, allow_pickle=False) as file:
        faces: Image = file["crops"]
    return faces


def stored(spec: EmbedderSpec) -> Float32 | None:
    """The (2, d) float32 unit vectors that a CPU made of `crops`; None for models not shipped."""
    if spec.path.parent != SHIPPED:
        return None
    with np.load(FILE, allow_pickle=False) as file:
        vectors: Float32 | None = file.get(spec.name)
    return vectors


def agreement(spec: EmbedderSpec, embed: Embed, on_cpu: Callable[[], Embed]) -> float:
    """The lesser cosine of the two faces' templates to the CPU's, in [-1, 1].

    on_cpu: gives the CPU's `embed`; called only where nothing is stored for this embedder.
    """
    faces, expected = crops(), stored(spec)
    wanted = on_cpu()(faces) if expected is None else expected
    return float((embed(faces) * wanted).sum(axis=1).min())


def require(found: float, device: Device) -> None:
    """Raise DeviceError unless this agreement is above AGREEMENT; NaN is not."""
    if not found > AGREEMENT:
        raise DeviceError(
            f"device {device} computes something else than the CPU: a known face's template has "
            f"a cosine of {found:.4f} to the CPU's, {AGREEMENT} is needed. Update the driver and "
            "onnxruntime, or use --device cpu."
        )
