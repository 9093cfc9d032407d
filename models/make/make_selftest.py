"""Make models/selftest.npz: two known faces and what the shipped embedders make of them.

    python models/make/make_selftest.py

The faces are the aligned crops in tests/data (public domain). Run it when a shipped embedder
changes, on a processor that is to be believed: tests/recognition/test_selftest.py compares.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from facecli.common.enums import Device
from facecli.recognition import selftest
from facecli.recognition.embedder import OnnxEmbedder
from facecli.recognition.model_zoo import registry

DATA = Path(__file__).parents[2] / "tests" / "data"
FACES = ("grace_hopper_112.png", "eileen_collins_112.png")


def main() -> None:
    crops = np.stack([cv2.imread(str(DATA / face)) for face in FACES])
    templates = {}
    for spec in registry.shipped_embedders():
        embedder = OnnxEmbedder(spec, registry.read_verified(spec), Device.CPU)
        templates[spec.name] = embedder.embed(crops)
    np.savez_compressed(selftest.FILE, crops=crops, **templates)
    print(f"{selftest.FILE}: {selftest.FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
