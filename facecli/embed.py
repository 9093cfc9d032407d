"""An ArcFace-style network through onnxruntime: aligned crops in, unit vectors out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from facecli.errors import DeviceError, ModelError
from facecli.terms import Device
from facecli.types import Float32, Image
from facecli.weights import ChannelOrder, EmbedderSpec

PROVIDERS = {
    Device.CUDA: "CUDAExecutionProvider",
    Device.TENSORRT: "TensorrtExecutionProvider",
    Device.COREML: "CoreMLExecutionProvider",
    Device.DIRECTML: "DmlExecutionProvider",
    Device.OPENVINO: "OpenVINOExecutionProvider",
    Device.CPU: "CPUExecutionProvider",
}
# CUDA before TensorRT: TensorRT builds an engine for minutes, which nobody asked for.
AUTO_ORDER = (Device.CUDA, Device.COREML, Device.DIRECTML, Device.OPENVINO)


class OnnxEmbedder:
    """Thread-safe: one session serves all threads.

    weights: the bytes of the ONNX file, already verified. Raises ModelError when they are no
    network of the described shape, DeviceError when a named device is not there. `device` is
    the one in use, never AUTO.
    """

    def __init__(self, spec: EmbedderSpec, weights: bytes, device: Device = Device.AUTO) -> None:
        self.spec = spec
        self._session, self.device = _open(weights, device)
        inputs = self._session.get_inputs()
        self._input: str = inputs[0].name
        self._batch: int | None = _fixed(inputs[0].shape[0])
        self._centre = None if spec.centre is None else _centre(spec.centre, spec.dimension)
        probe = np.full((1, spec.input_size, spec.input_size, 3), 128, np.uint8)
        if (vector := self._run(_blob(probe, spec))).shape != (1, spec.dimension):
            raise ModelError(
                f"model {spec.name} gives vectors of shape {vector.shape[1:]}, "
                f"its description says {spec.dimension}"
            )

    def embed(self, crops: Image) -> Float32:
        """(n, 112, 112, 3) uint8 BGR to (n, d) float32 unit vectors.

        Averaged with the mirrored crop's where the manifest says so. Raises ModelError when the
        network does not run or returns values that are not finite.
        """
        if len(crops) == 0:
            return np.empty((0, self.spec.dimension), np.float32)
        vectors = self._run(_blob(crops, self.spec))
        if self.spec.flip:
            vectors = vectors + self._run(_blob(crops[:, :, ::-1], self.spec))
        unit = _normalise(vectors)
        return unit if self._centre is None else _normalise(unit - self._centre)

    def _run(self, blob: Float32) -> Float32:
        size = self._batch or max(1, len(blob))
        try:
            parts = [
                self._session.run(None, {self._input: _padded(blob[i : i + size], size)})[0]
                for i in range(0, len(blob), size)
            ]
        except Exception as error:  # onnxruntime's own types share no base
            raise ModelError(f"model {self.spec.name} does not run: {error}") from error
        return np.concatenate(parts)[: len(blob)].astype(np.float32)


def _open(weights: bytes, device: Device) -> tuple[Any, Device]:
    present = set(ort.get_available_providers())
    if device is not Device.AUTO:
        if PROVIDERS[device] not in present:
            there = ", ".join(d for d, p in PROVIDERS.items() if p in present)
            raise DeviceError(
                f"device {device} is not there: this onnxruntime offers {there}. "
                f"Install the onnxruntime build for {device}, or use --device cpu."
            )
        return _session(weights, device), device
    for candidate in AUTO_ORDER:
        if PROVIDERS[candidate] in present:
            try:
                return _session(weights, candidate), candidate
            except DeviceError:
                continue
    return _session(weights, Device.CPU), Device.CPU


def _session(weights: bytes, device: Device) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1  # photos run in parallel, not layers
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if device is not Device.CPU:
        # Otherwise onnxruntime falls back to the CPU with no more than a warning.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = ort.InferenceSession(
            weights, options, providers=[PROVIDERS[device]], enable_fallback=0
        )
    except Exception as error:
        if device is not Device.CPU:
            raise DeviceError(f"device {device} cannot run the model: {error}") from error
        raise ModelError(f"not a network that onnxruntime can run: {error}") from error
    if session.get_providers()[0] != PROVIDERS[device]:
        raise DeviceError(f"device {device} was asked for, onnxruntime took another")
    return session


def _fixed(size: object) -> int | None:
    return size if isinstance(size, int) and size > 0 else None


def _padded(blob: Float32, size: int) -> Float32:
    if len(blob) == size:
        return blob
    return np.concatenate([blob, np.zeros((size - len(blob), *blob.shape[1:]), np.float32)])


def _blob(crops: Image, spec: EmbedderSpec) -> Float32:
    """(n, H, W, 3) uint8 BGR to (n, 3, H, W) float32 as the network wants it."""
    if spec.channel_order is ChannelOrder.RGB:
        crops = crops[..., ::-1]
    planes = crops.transpose(0, 3, 1, 2).astype(np.float32)
    blob: Float32 = (planes - np.float32(spec.mean)) / np.float32(spec.std)
    return blob


def _normalise(vectors: Float32) -> Float32:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or (norms < 1e-12).any():
        raise ModelError("the network returned values that are not finite, or only zeros")
    unit: Float32 = (vectors / norms).astype(np.float32)
    return unit


def _centre(path: Path, dimension: int) -> Float32:
    """The fixed mean vector that some embedders want subtracted: (dimension,) float32."""
    try:
        centre = np.asarray(json.loads(path.read_text())["centre"], np.float32)
        if centre.shape != (dimension,) or not np.isfinite(centre).all():
            raise ValueError(f"not {dimension} finite numbers")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the mean vector {path} cannot be used: {error}") from error
    return centre
