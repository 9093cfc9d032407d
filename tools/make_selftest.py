"""Make facecli/models/selftest.npz: two known faces and what the shipped embedder makes of them.

    python tools/make_selftest.py

The faces are the aligned crops in tests/data (public domain). Run it when the shipped embedder
changes, on a processor that is to be believed: tests/test_selftest.py compares.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from facecli import selftest, weights
from facecli.embed import OnnxEmbedder
from facecli.terms import Device

DATA = Path(__file__).parents[1] / "tests" / "data"
FACES = ("grace_hopper_112.png", "eileen_collins_112.png")


def main() -> None:
    spec = weights.find_embedder(weights.DEFAULT_EMBEDDER)
    embedder = OnnxEmbedder(spec, weights.read_verified(spec), Device.CPU)
    crops = np.stack([cv2.imread(str(DATA / face)) for face in FACES])
    np.savez_compressed(selftest.FILE, crops=crops, **{spec.name: embedder.embed(crops)})
    print(f"{selftest.FILE}: {selftest.FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
