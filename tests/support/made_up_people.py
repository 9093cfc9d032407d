"""Made-up people for training: each a coloured pattern, each photo the pattern with noise.

Small networks tell them apart as real ones tell faces, in milliseconds.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from facecli.datasets.labels import LabelledPhoto
from facecli.recognition.model_zoo.specs import ChannelOrder, EmbedderSpec
from facecli.training.crops import Crops


def made_up_crops(
    people: int = 24, each: int = 4, strangers: int = 0, seed: int = 0, shifted: bool = False
) -> Crops:
    """Crops of `each` photos of `people`, then one photo each of `strangers`.

    shifted: with three degraded views, grey, each with a noise of its own.
    """
    rng = np.random.default_rng(seed)
    photos, images = [], []
    for person in range(people + strangers):
        grid = rng.integers(40, 216, (7, 7, 3))
        pattern = np.kron(grid, np.ones((16, 16, 1)))
        for number in range(each if person < people else 1):
            noisy = pattern + rng.normal(0, 40, pattern.shape)
            images.append(np.clip(noisy, 0, 255).astype(np.uint8))
            photos.append(LabelledPhoto(Path(f"P{person:03}/{number}.jpg"), f"P{person:03}"))
    views = [np.stack(images)]
    grey = np.repeat(views[0].mean(axis=3, keepdims=True), 3, axis=3)
    for _ in range(3 if shifted else 0):
        noisy = grey + rng.normal(0, 4, (*grey.shape[:3], 1))
        views.append(np.clip(noisy, 0, 255).astype(np.uint8))
    n = len(photos)
    return Crops(
        tuple(photos),
        tuple(hashlib.sha256(str(photo.path).encode()).hexdigest() for photo in photos),
        np.stack(views, axis=1), np.ones(n, bool), np.ones((n, len(views) - 1), bool), (),
    )  # fmt: skip


def spec_of(path: Path, content: bytes, dimension: int = 64) -> EmbedderSpec:
    """The facts of a network written to `path`, as if it had been added."""
    path.write_bytes(content)
    return EmbedderSpec(
        name="base", path=path, sha256=hashlib.sha256(content).hexdigest(), input_size=112,
        channel_order=ChannelOrder.RGB, mean=127.5, std=128.0, dimension=dimension, flip=True,
        preprocessing=1, licence="Test-1.0", commercial_use=False, source="made up",
    )  # fmt: skip
