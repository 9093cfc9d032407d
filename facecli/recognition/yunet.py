"""YuNet at one size: a picture in, rows of box, landmarks and score out; two ways to run it."""

from __future__ import annotations

import threading
from typing import Any, Protocol

import cv2
import numpy as np

from facecli.common.errors import ModelError
from facecli.common.types import Float32, Image
from facecli.recognition.model_zoo import sessions

SCORE_MIN = 0.6
NMS_IOU = 0.3
MAX_FACES = 5000
STRIDES = (8, 16, 32)  # px between the cells of the three heads
HEADS = tuple(f"{kind}_{stride}" for stride in STRIDES for kind in ("cls", "obj", "bbox", "kps"))
ROW = 15  # x, y, w, h, five points (x, y), score: as cv2.FaceDetectorYN returns them


class Network(Protocol):
    """Finds faces of about 10 to 300 px; one instance serves all threads."""

    def rows(self, image: Image) -> Float32:
        """(n, 15) float32 px for an (H, W, 3) uint8 BGR picture, best score first."""


class RuntimeNetwork:
    """Through onnxruntime; needs the file that models/make/convert_yunet.py makes.

    onnx: the weights' bytes, already verified. threads: as for `sessions.session`.
    Raises ModelError when they do not load or run.
    """

    def __init__(self, onnx: bytes, threads: int = 1) -> None:
        try:
            self._session: Any = sessions.session(onnx, threads=threads)
        except ModelError as error:
            raise ModelError(f"onnxruntime cannot load the face detector: {error}") from error

    def rows(self, image: Image) -> Float32:
        """See `Network.rows`."""
        height, width = image.shape[:2]
        down, across = (side + -side % STRIDES[-1] for side in (height, width))
        # Not cv2.dnn.blobFromImage: in memory new to the process it takes four times as long.
        padded = np.zeros((1, 3, down, across), np.float32)
        padded[0, :, :height, :width] = image.transpose(2, 0, 1)
        try:
            heads = self._session.run(HEADS, {"input": padded})
        except Exception as error:  # onnxruntime's own types share no base
            raise ModelError(f"the face detector does not run: {error}") from error
        return distinct(_decoded(heads, across))


class OpenCvNetwork:
    """Through `cv2.FaceDetectorYN`: the reference, slower.

    FaceDetectorYN keeps state and returns wrong faces without an error when threads share one,
    so each thread has its own. Raises ModelError when OpenCV cannot load the weights.
    """

    def __init__(self, onnx: bytes) -> None:
        # OpenCV 5 prints a harmless warning about targets for every network it loads.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        self._onnx = np.frombuffer(onnx, np.uint8)
        self._local = threading.local()
        self._own()

    def rows(self, image: Image) -> Float32:
        """See `Network.rows`."""
        net = self._own()
        net.setInputSize((image.shape[1], image.shape[0]))
        _, rows = net.detect(image)
        return np.empty((0, ROW), np.float32) if rows is None else rows

    def _own(self) -> Any:
        if not hasattr(self._local, "net"):
            try:
                self._local.net = cv2.FaceDetectorYN.create(
                    "onnx", self._onnx, np.empty(0, np.uint8), (320, 320),
                    SCORE_MIN, NMS_IOU, MAX_FACES,
                )  # fmt: skip
            except cv2.error as error:
                raise ModelError(f"OpenCV cannot load the face detector: {error}") from error
        return self._local.net


def _decoded(heads: list[Float32], width: int) -> Float32:
    """The cells that reach SCORE_MIN as rows, as FaceDetectorYN's `postProcess` reads them.

    heads: in the order of HEADS, (1, cells, 1 or 4 or 10), cells row by row. width: of the
    padded picture, px. A cell at (c, r) with stride s says: centre ((c + dx) s, (r + dy) s),
    size (exp(w) s, exp(h) s), points ((c + px) s, (r + py) s), score sqrt(cls obj).
    """
    found = []
    for i, stride in enumerate(STRIDES):
        classes, objects, boxes, points = (head[0] for head in heads[4 * i : 4 * i + 4])
        scores = np.sqrt(np.clip(classes[:, 0], 0, 1) * np.clip(objects[:, 0], 0, 1))
        (cells,) = np.nonzero(scores >= SCORE_MIN)
        if len(cells) == 0:
            continue
        rows = np.empty((len(cells), ROW), np.float32)
        down, across = np.divmod(cells, width // stride)
        corner = np.stack([across, down], axis=1).astype(np.float32)
        size = np.exp(boxes[cells, 2:]) * stride
        rows[:, :2] = (corner + boxes[cells, :2]) * stride - size / 2
        rows[:, 2:4] = size
        rows[:, 4:14] = (points[cells] + np.tile(corner, 5)) * stride
        rows[:, 14] = scores[cells]
        found.append(rows)
    return np.concatenate(found) if found else np.empty((0, ROW), np.float32)


def distinct(rows: Float32) -> Float32:
    """Each face once, best first: non-maximum suppression over whole px, as FaceDetectorYN's."""
    if len(rows) < 2:
        return rows
    boxes = rows[:, :4].astype(np.int32).astype(np.float64)
    kept = cv2.dnn.NMSBoxes(boxes, rows[:, 14], SCORE_MIN, NMS_IOU, top_k=MAX_FACES)  # type: ignore[arg-type]
    return rows[np.asarray(kept, np.intp)]
