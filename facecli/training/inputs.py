"""What the trained part of a network is fed with, made once where it stays the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from facecli.common.errors import ModelError
from facecli.common.parallel import batches, ordered
from facecli.common.types import Float32, Image
from facecli.recognition.embedder import blob, centre_of, unit_vectors
from facecli.recognition.model_zoo.specs import EmbedderSpec
from facecli.training.crops import Crops

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]
Number = TypeVar("Number", np.float16, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Crops, or what the front of the network makes of them, of all n photos of `Crops`.

    values: (n, 2 (1 + k), ...) float16 features of each view and its mirror image, view by view;
    without a front the (n, 1 + k, 112, 112, 3) uint8 crops. Half as much to hold as 32 bits would
    be, and exact to a part in 2,000, of which unit vectors keep less than 0.0001.
    """

    spec: EmbedderSpec
    values: NDArray[np.float16] | Image

    def take(self, rows: Rows, views: Rows, mirrored: Mask) -> Float32:
        """(len(rows), ...) float32, for the trained part. views: of each photo, 0 as it is."""
        if self.values.dtype == np.uint8:
            crops = self.values[rows, views]
            crops = np.where(mirrored[:, None, None, None], crops[:, :, ::-1], crops)
            return blob(cast(Image, crops), self.spec)
        return self.values[rows, 2 * views + mirrored].astype(np.float32)


def make_inputs(
    front: bytes,
    spec: EmbedderSpec,
    crops: Crops,
    workers: int | None = None,
    step: Callable[[], object] | None = None,
) -> Inputs:
    """front: the ONNX bytes of the part that stays; empty for none. step: called once a photo.

    Raises ModelError where the front does not run.
    """
    if not front:
        return Inputs(spec, crops.views)
    features = features_of(front, spec)

    def work(photo: Image) -> NDArray[np.float16]:
        return features(photo).astype(np.float16)

    return Inputs(spec, _of_all(work, crops.views, workers, step))


def features_of(front: bytes, spec: EmbedderSpec) -> Callable[[Image], Float32]:
    """What the trained part is fed with for (v, 112, 112, 3) crops: (2 v, ...), each as it is and
    then mirrored. front: as for `make_inputs`. Raises ModelError where it does not run.
    """
    if not front:
        return lambda crops: _with_mirror(crops, spec)
    run = _runner(front)
    return lambda crops: np.concatenate([run(one[None]) for one in _with_mirror(crops, spec)])


def templates(
    inputs: Inputs,
    tail: bytes,
    rows: Rows,
    view: int = 0,
    workers: int | None = None,
    step: Callable[[], object] | None = None,
) -> Float32:
    """(len(rows), d) as `OnnxEmbedder` makes them, to 0.0001, of one view of each of these photos.

    tail: the ONNX bytes of the trained part. step: called once a photo. Raises ModelError.
    """
    run, centre = _runner(tail), centre_of(inputs.spec)
    sides = [False, True] if inputs.spec.flip else [False]

    def work(row: np.intp) -> Float32:
        at, there = np.array([row]), np.array([view])
        made = [run(inputs.take(at, there, np.array([one]))) for one in sides]
        return cast(Float32, np.concatenate(made).sum(axis=0))

    if not len(rows):
        return np.zeros((0, inputs.spec.dimension), np.float32)
    return unit_vectors(_of_all(work, rows, workers, step), centre)


def _of_all(
    work: Callable[[Any], NDArray[Number]],
    items: NDArray[Any],
    workers: int | None,
    step: Callable[[], object] | None,
) -> NDArray[Number]:
    """What `work` gives of each, on threads, one below the other; in one array as they come."""

    def together(some: tuple[Any, ...]) -> list[NDArray[Number]]:
        return [work(one) for one in some]

    made: NDArray[Number] | None = None
    value: NDArray[Number]
    count = 0
    for part in ordered(together, batches(iter(items), lambda _: None), workers):
        for value in part:
            if made is None:
                made = np.empty((len(items), *value.shape), value.dtype)
            made[count] = value
            count += 1
            if step is not None:
                step()
    return np.zeros((0, 0), np.float16) if made is None else made


def _with_mirror(views: Image, spec: EmbedderSpec) -> Float32:
    """(v, 112, 112, 3) to (2 v, 3, 112, 112): each, then its mirror image."""
    both = np.stack([views, views[:, :, ::-1]], axis=1)
    return blob(both.reshape(-1, *views.shape[1:]), spec)


def _runner(part: bytes) -> Callable[[Float32], Float32]:
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised
    options.intra_op_num_threads = 1  # photos are what runs in parallel
    try:
        session = ort.InferenceSession(part, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
    except Exception as error:  # onnxruntime's own types share no base
        raise ModelError(f"a part of the network does not run: {error}") from error

    def run(values: Float32) -> Float32:
        made: Float32 = session.run(None, {name: values})[0]
        return made

    return run
