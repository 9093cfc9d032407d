"""The least that identifying one photo takes: no command line, no gallery, no check of anything.

    python -m benchmarks.speed.bare PHOTO DETECTOR.ort EMBEDDER.ort TEMPLATES.f32

Run by cold_start.py. Same libraries, same optimised graphs, the photo decoded and the embedder
loaded on threads beside the rest; only two passes of the detector, whose best cell of the coarsest
head counts, and a matrix product. Prints the best score.
"""

# ruff: noqa: E402 (what can run beside an import is begun before it)
from __future__ import annotations

import os
import sys
from threading import Thread

os.environ["OPENBLAS_NUM_THREADS"] = "1"
PHOTO, DETECTOR, EMBEDDER, TEMPLATES = sys.argv[1:]

import cv2
import numpy as np

made: dict = {}
decoding = Thread(target=lambda: made.update(image=cv2.imread(PHOTO)))
decoding.start()

import onnxruntime as ort

options = ort.SessionOptions()
options.intra_op_num_threads = 2
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
options.add_session_config_entry("session.intra_op.allow_spinning", "0")


def session(path: str) -> ort.InferenceSession:
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


loading = Thread(target=lambda: made.update(embedder=session(EMBEDDER)))
loading.start()
detector = session(DETECTOR)
decoding.join()
image = made["image"]
height, width = image.shape[:2]
for side in (1280, 640):
    k = side / max(height, width)
    size = (round(width * k), round(height * k))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    blob = np.zeros((1, 3, *(length + -length % 32 for length in size[::-1])), np.float32)
    blob[0, :, : size[1], : size[0]] = small.transpose(2, 0, 1)
    classes, objects, points = detector.run(["cls_32", "obj_32", "kps_32"], {"input": blob})
    best = int((classes * objects).argmax())
    row, column = divmod(best, blob.shape[3] // 32)
    landmarks = (points[0, best].reshape(5, 2) + np.array([column, row])) * 32 / k

ARCFACE = np.float32(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
     [70.7299, 92.2041]]
)  # fmt: skip
matrix, _ = cv2.estimateAffinePartial2D(landmarks.astype(np.float32), ARCFACE)
crop = cv2.warpAffine(image, matrix, (112, 112))
loading.join()
embedder = made["embedder"]
name = embedder.get_inputs()[0].name
vector = sum(
    embedder.run(None, {name: cv2.dnn.blobFromImage(c, 1 / 128, mean=[127.5] * 3, swapRB=True)})[0]
    for c in (crop, np.ascontiguousarray(crop[:, ::-1]))
)
templates = np.fromfile(TEMPLATES, np.float32).reshape(-1, vector.shape[1])
print(float((templates @ (vector[0] / np.linalg.norm(vector))).max()))
