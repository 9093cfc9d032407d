"""Does an ONNX file hold what facecli can use as an embedder?"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnxruntime as ort

from facecli.common.errors import ModelError
from facecli.common.types import Float32
from facecli.recognition.model_zoo.kinds import in_words, require_network
from facecli.recognition.model_zoo.whole import require_whole

INPUT_SIZE = 112
_LEAST_DIMENSION = 32
_SOURCE = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |/\S+\.(?:cc|h):\d+ .*?\) (?=\S)")


def output_of(content: bytes, mean: float, std: float) -> Float32:
    """Run the network on a grey ramp, fed as `(x - mean) / std`, and give its (d,) unit vector.

    Asked of it: one float input (1 or any, 3, 112, 112), one output (1, d), d >= 32, with finite
    values that are not all zero, and no weights in other files. Raises ModelError, saying which
    of these fails.
    """
    require_network(content)
    require_whole(content)
    session = _open(content)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise _unfit(f"it has {len(inputs)} inputs and {len(outputs)} outputs instead of one each")
    if inputs[0].type != "tensor(float)" or not _is_image(inputs[0].shape):
        raise _unfit(f"its input is {inputs[0].type} {inputs[0].shape}")
    ramp = np.linspace(0, 255, INPUT_SIZE, dtype=np.float32)
    crop = np.broadcast_to((ramp - mean) / std, (1, 3, INPUT_SIZE, INPUT_SIZE))
    return _checked(_run(session, np.ascontiguousarray(crop, np.float32)))


def _open(content: bytes) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; the log would only repeat it
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no other base
        why = in_words(str(error)) or f"onnxruntime cannot open it ({_first_line(error)})"
        raise _unfit(why) from error


def _is_image(shape: list[int | str | None]) -> bool:
    """Whether the shape takes (1, 3, 112, 112); a name or None stands for any length."""
    wanted = (1, 3, INPUT_SIZE, INPUT_SIZE)
    return len(shape) == len(wanted) and all(
        have == want or not isinstance(have, int) for have, want in zip(shape, wanted, strict=True)
    )


def _run(session: Any, crop: Any) -> Any:
    try:
        (output,) = session.run(None, {session.get_inputs()[0].name: crop})
    except Exception as error:  # as above
        raise _unfit(f"it fails on a 112x112 crop: {_first_line(error)}") from error
    return output


def _checked(output: Any) -> Float32:
    values = np.asarray(output)
    if values.ndim != 2 or values.shape[0] != 1 or values.shape[1] < _LEAST_DIMENSION:
        raise _unfit(f"its output has the shape {values.shape}, not (1, at least 32)")
    if not np.issubdtype(values.dtype, np.floating) or not np.isfinite(values).all():
        raise _unfit("its output on a plain grey ramp is not finite")
    if not values.any():
        raise _unfit("its output on a plain grey ramp is all zeros")
    unit: Float32 = (values[0] / np.linalg.norm(values[0])).astype(np.float32)
    return unit


def _first_line(error: Exception) -> str:
    """In words: without onnxruntime's code, and where in its source it was."""
    said = (str(error).splitlines() or [type(error).__name__])[0]
    return _SOURCE.sub("", said).strip() or type(error).__name__


def _unfit(why: str) -> ModelError:
    return ModelError(
        f"This file is no embedder that facecli can use: {why}. Needed: an ONNX network with one "
        "float input (batch 1 or any, 3, 112, 112) and one output (batch, 32 or more)."
    )
