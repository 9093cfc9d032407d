"""The photos of `facecli demo`: two public-domain portraits that well-kept packages carry."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from facecli import images
from facecli.errors import InputError
from facecli.types import FailureToAcquire, Image

PORTRAITS = {
    "Grace Hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    "Eileen Collins": ("skimage", "data/astronaut.png"),
}


@dataclass(frozen=True, slots=True)
class DemoPhotos:
    """known: a folder to enrol. again: the same person in an altered shot. stranger: another."""

    known: Path
    again: Path
    stranger: Path


def portrait(name: str) -> Path:
    """Where a portrait lies. Raises InputError, naming the extra, when its package is missing."""
    package, file = PORTRAITS[name]
    spec = find_spec(package)
    if (
        spec is None
        or spec.origin is None
        or not (path := Path(spec.origin).parent / file).exists()
    ):
        raise InputError(
            f"the demo's portrait of {name} comes with {package}: pip install 'facecli[demo]'"
        )
    return path


def prepare(folder: Path) -> DemoPhotos:
    """Lay the demo's photos out in `folder`."""
    hopper, collins = portrait("Grace Hopper"), portrait("Eileen Collins")
    photos = DemoPhotos(folder / "photos", folder / "again.jpg", folder / "stranger.png")
    home = photos.known / "Grace Hopper"
    home.mkdir(parents=True, exist_ok=True)
    (home / "portrait.jpg").write_bytes(hopper.read_bytes())
    photos.stranger.write_bytes(collins.read_bytes())
    image = images.decode(hopper.read_bytes(), str(hopper))
    if isinstance(image, FailureToAcquire):
        raise InputError(f"{hopper}: {image.reason}")
    photos.again.write_bytes(altered(image))
    return photos


def altered(image: Image) -> bytes:
    """Another shot of it: turned by 12 degrees, darker, half the size, recompressed; a JPEG.

    image: (H, W, 3) uint8 BGR.
    """
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 12, 0.95)
    turned = cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    dark = np.clip(turned.astype(np.float32) * 0.6, 0, 255).astype(np.uint8)
    small = cv2.resize(dark, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 40])[1])
