"""An ArcFace-style network through onnxruntime: aligned crops in, unit vectors out."""

from __future__ import annotations

import json

import numpy as np

from facecli.common.enums import Device
from facecli.common.errors import ModelError
from facecli.common.types import Float32, Image
from facecli.recognition import selftest
from facecli.recognition.model_zoo import sessions
from facecli.recognition.model_zoo.specs import ChannelOrder, EmbedderSpec

MOST_AT_ONCE = 32  # crops on an accelerator; a CPU takes 40 % longer for 32 than for one by one


class OnnxEmbedder:
    """Thread-safe: one session serves all threads.

    weights: the bytes of the ONNX file, already verified. Raises ModelError when they are no
    network of the described shape, DeviceError when a named device is not there or computes
    something else than the CPU: AUTO passes such a one over. `device` is the one in use, never
    AUTO. threads: as for `sessions.session`.
    """

    def __init__(
        self,
        spec: EmbedderSpec,
        weights: bytes,
        device: Device = Device.AUTO,
        threads: int = 1,
    ) -> None:
        self.spec = spec
        self._session, self.device = sessions.first_working(weights, device, threads)
        inputs = self._session.get_inputs()
        self._input: str = inputs[0].name
        self._batch: int | None = _fixed(inputs[0].shape[0])
        self._centre = centre_of(spec)
        try:
            self._prove(weights)
        except ModelError:
            if device is not Device.AUTO or self.device is Device.CPU:
                raise
            self._session, self.device = sessions.session(weights), Device.CPU
            self._prove(weights)

    def embed(self, crops: Image) -> Float32:
        """(n, 112, 112, 3) uint8 BGR to (n, d) float32 unit vectors.

        Averaged with the mirrored crop's where the manifest says so. Raises ModelError when the
        network does not run or returns values that are not finite.
        """
        if len(crops) == 0:
            return np.empty((0, self.spec.dimension), np.float32)
        vectors = self._run(blob(crops, self.spec))
        if self.spec.flip:
            vectors = vectors + self._run(blob(crops[:, :, ::-1], self.spec))
        return unit_vectors(vectors, self._centre)

    def _prove(self, weights: bytes) -> None:
        """Raise ModelError unless the network has the described shape and computes as on a CPU."""
        probe = np.full((1, self.spec.input_size, self.spec.input_size, 3), 128, np.uint8)
        if (vector := self._run(blob(probe, self.spec))).shape != (1, self.spec.dimension):
            raise ModelError(
                f"model {self.spec.name} gives vectors of shape {vector.shape[1:]}, "
                f"its description says {self.spec.dimension}"
            )
        if self.device is not Device.CPU:
            found = selftest.agreement(
                self.spec, self.embed, lambda: OnnxEmbedder(self.spec, weights, Device.CPU).embed
            )
            selftest.require(found, self.device)

    def _run(self, values: Float32) -> Float32:
        size = self._batch or (1 if self.device is Device.CPU else MOST_AT_ONCE)
        shares = [values[i : i + size] for i in range(0, len(values), size)]
        try:
            parts = [
                self._session.run(None, {self._input: _padded(s, self._batch or len(s))})[0]
                for s in shares
            ]
        except Exception as error:  # onnxruntime's own types share no base
            raise ModelError(f"model {self.spec.name} does not run: {error}") from error
        return np.concatenate(parts)[: len(values)].astype(np.float32)


def _fixed(size: object) -> int | None:
    return size if isinstance(size, int) and size > 0 else None


def _padded(values: Float32, size: int) -> Float32:
    if len(values) == size:
        return values
    return np.concatenate([values, np.zeros((size - len(values), *values.shape[1:]), np.float32)])


def blob(crops: Image, spec: EmbedderSpec) -> Float32:
    """(n, H, W, 3) uint8 BGR to (n, 3, H, W) float32 in one piece, as the network wants it."""
    if spec.channel_order is ChannelOrder.RGB:
        crops = crops[..., ::-1]
    planes = crops.transpose(0, 3, 1, 2).astype(np.float32)
    return np.ascontiguousarray((planes - np.float32(spec.mean)) / np.float32(spec.std))


def unit_vectors(outputs: Float32, centre: Float32 | None) -> Float32:
    """(n, d) float32 templates of what the network gave, of both mirror images their sum.

    centre: what `centre_of` gives. Raises ModelError for values that are not finite.
    """
    unit = _normalise(outputs)
    return unit if centre is None else _normalise(unit - centre)


def centre_of(spec: EmbedderSpec) -> Float32 | None:
    """The fixed mean that some embedders want subtracted: (d,) float32. Raises ModelError."""
    if spec.centre is None:
        return None
    try:
        centre = np.asarray(json.loads(spec.centre.read_text())["centre"], np.float32)
        if centre.shape != (spec.dimension,) or not np.isfinite(centre).all():
            raise ValueError(f"not {spec.dimension} finite numbers")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the mean vector {spec.centre} cannot be used: {error}") from error
    return centre


def _normalise(vectors: Float32) -> Float32:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or (norms < 1e-12).any():
        raise ModelError("the network returned values that are not finite, or only zeros")
    unit: Float32 = (vectors / norms).astype(np.float32)
    return unit
