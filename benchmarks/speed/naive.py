"""The loop most people write first: default settings, OpenCV's own detector, a photo at a time.

    python models/make/convert_mobilefacenet.py --keep-prelu SOURCE.tflite plain.onnx
    python -m benchmarks.speed.naive plain.onnx PEOPLE.csv GALLERY.npz [--one-thread]

PEOPLE.csv has the columns path,subject. The reference that enrolment is compared with: the same
weights in the graph as it was published, the same template (crop and mirror image averaged), the
largest face; no second pass for landmarks, no quality, no commit that survives a crash.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from facecli.recognition.model_zoo import registry

TEMPLATE = np.float32(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
     [70.7299, 92.2041]]
)  # fmt: skip


def main(model: str, people: Path, gallery: Path, one_thread: bool) -> None:
    options = onnxruntime.SessionOptions()
    if one_thread:
        options.intra_op_num_threads = 1
        cv2.setNumThreads(1)
    session = onnxruntime.InferenceSession(model, options)
    detector = cv2.FaceDetectorYN.create(str(registry.find_detector().path), "", (320, 320), 0.6)
    names, vectors = [], []
    for row in csv.DictReader(people.open(encoding="utf-8")):
        image = cv2.imread(row["path"])
        detector.setInputSize(image.shape[1::-1])
        _, faces = detector.detect(image)
        if faces is None:
            continue
        face = max(faces, key=lambda f: f[2] * f[3])
        matrix, _ = cv2.estimateAffinePartial2D(face[4:14].reshape(5, 2), TEMPLATE)
        crop = cv2.warpAffine(image, matrix, (112, 112))
        batch = cv2.dnn.blobFromImages(
            [crop, crop[:, ::-1]], 1 / 128, mean=[127.5] * 3, swapRB=True
        )
        vector = session.run(None, {"input": batch})[0].sum(axis=0)
        names.append(row["subject"])
        vectors.append(vector / np.linalg.norm(vector))
    np.savez(gallery, names=np.array(names), vectors=np.stack(vectors))
    print(len(vectors))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), "--one-thread" in sys.argv)
