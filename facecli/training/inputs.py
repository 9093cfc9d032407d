"""What the trained part of a network is fed with, made once where it stays the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from facecli.common.errors import ModelError
from facecli.common.parallel import batches, ordered
from facecli.common.types import Float32, Image
from facecli.recognition.model_zoo.specs import ChannelOrder, EmbedderSpec
from facecli.training.crops import Crops

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Crops, or what the front of the network makes of them, of n photos.

    values: (n, views, ...): with a front float32 features of each crop and its mirror image, of
    the photo and then of the degraded photo (2 or 4 views); without one (n, 1 or 2, 112, 112, 3)
    uint8 crops. places: the place of each row of `Crops` here, -1 where it has none.
    """

    spec: EmbedderSpec
    values: NDArray[np.float32] | Image
    places: NDArray[np.intp]

    def take(self, rows: Rows, shifted: Mask, mirrored: Mask) -> Float32:
        """(len(rows), ...) float32, for the trained part. shifted, mirrored: which view of each."""
        at = self.places[rows]
        if self.values.dtype == np.uint8:
            crops = self.values[at, shifted.astype(np.intp)]
            crops = np.where(mirrored[:, None, None, None], crops[:, :, ::-1], crops)
            return blob(cast(Image, crops), self.spec)
        return cast(Float32, self.values[at, 2 * shifted.astype(np.intp) + mirrored])


def make_inputs(
    front: bytes,
    spec: EmbedderSpec,
    crops: Crops,
    rows: Sequence[int],
    progress: Callable[[], object] | None = None,
) -> Inputs:
    """Those of these rows. front: the ONNX bytes of the part that stays; empty for none.

    Raises ModelError where the front does not run.
    """
    kept = np.unique(np.asarray(rows, np.intp))
    places = np.full(len(crops.photos), -1, np.intp)
    places[kept] = np.arange(len(kept))
    both = (
        [crops.images[kept]] if crops.shifted is None else [crops.images[kept], crops.shifted[kept]]
    )
    views = np.stack(both, axis=1)
    if not front:
        return Inputs(spec, views, places)
    run = _runner(front)

    def work(batch: tuple[Image, ...]) -> list[Float32]:
        return [run(_with_mirror(one, spec)) for one in batch]

    parts: list[Float32] = []
    for some in ordered(work, batches(iter(views), lambda _: None)):
        parts += some
        for _ in some:
            if progress is not None:
                progress()
    return Inputs(spec, np.stack(parts), places)


def blob(crops: Image, spec: EmbedderSpec) -> Float32:
    """(n, 112, 112, 3) uint8 BGR to (n, 3, 112, 112) float32 as the network wants it."""
    if spec.channel_order is ChannelOrder.RGB:
        crops = crops[..., ::-1]
    planes = crops.transpose(0, 3, 1, 2).astype(np.float32)
    return np.ascontiguousarray((planes - np.float32(spec.mean)) / np.float32(spec.std))


def _with_mirror(views: Image, spec: EmbedderSpec) -> Float32:
    """(v, 112, 112, 3) to (2 v, 3, 112, 112): each, then its mirror image."""
    both = np.stack([views, views[:, :, ::-1]], axis=1)
    return blob(both.reshape(-1, *views.shape[1:]), spec)


def _runner(front: bytes) -> Callable[[Float32], Float32]:
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised
    options.intra_op_num_threads = 1  # photos are what runs in parallel
    try:
        session = ort.InferenceSession(front, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
    except Exception as error:  # onnxruntime's own types share no base
        raise ModelError(f"the front of the network does not run: {error}") from error

    def run(values: Float32) -> Float32:
        made: Float32 = session.run(None, {name: values})[0]
        return made

    return run
