"""The loop most people write first: one photo at a time on one thread, OpenCV's own detector.

    python benchmarks/naive.py PEOPLE.csv GALLERY.npz

PEOPLE.csv has the columns path,subject. The reference that speed.py compares enrolment with: the
same detector weights and embedder, the largest face, no fine pass for landmarks.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import cv2
import numpy as np

from facecli import align, weights
from facecli.embed import OnnxEmbedder


def main(people: Path, gallery: Path) -> None:
    cv2.setNumThreads(1)
    spec = weights.find_embedder()
    embedder = OnnxEmbedder(spec, weights.read_verified(spec))
    detector = cv2.FaceDetectorYN.create(str(weights.find_detector().path), "", (320, 320))
    names, vectors = [], []
    for row in csv.DictReader(people.open(encoding="utf-8")):
        image = cv2.imread(row["path"])
        detector.setInputSize(image.shape[1::-1])
        _, faces = detector.detect(image)
        if faces is None:
            continue
        face = max(faces, key=lambda f: f[2] * f[3])
        crop = align.crop(image, face[4:14].reshape(5, 2))
        names.append(row["subject"])
        vectors.append(embedder.embed(crop[None])[0])
    np.savez(gallery, names=np.array(names), vectors=np.stack(vectors))
    print(len(vectors))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
