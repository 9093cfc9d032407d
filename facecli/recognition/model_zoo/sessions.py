"""onnxruntime sessions: on a named device, and on the CPU from a cache of optimised graphs.

Optimising a graph costs more than loading it, so the CPU's optimised graphs are kept in
`places.cache_home()`. They fit one processor and one build of onnxruntime, so both, with the
network's own sha256, make the file's name. Its last 32 bytes are the sha256 of that key and of
all before them: what is cut short, altered or another's is optimised again. A cache that cannot
be read or written costs time, never an answer.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import onnxruntime as ort

from facecli.common import atomic
from facecli.common.enums import Device
from facecli.common.errors import DeviceError, ModelError
from facecli.common.places import cache_home, own_folder

PROVIDERS = {
    Device.CUDA: "CUDAExecutionProvider",
    Device.TENSORRT: "TensorrtExecutionProvider",
    Device.COREML: "CoreMLExecutionProvider",
    Device.DIRECTML: "DmlExecutionProvider",
    Device.OPENVINO: "OpenVINOExecutionProvider",
    Device.CPU: "CPUExecutionProvider",
}
# Not TensorRT, which builds an engine for minutes, and not OpenVINO, which runs on the CPU, too:
# two threads get half as many faces a second out of it as out of onnxruntime's own kernels.
AUTO_ORDER = (Device.CUDA, Device.COREML, Device.DIRECTML)
KEPT = 16  # graphs in the cache; the oldest go first
_DIGEST = 32  # bytes of a sha256


def session(weights: bytes, device: Device = Device.CPU, threads: int = 1) -> Any:
    """An `onnxruntime.InferenceSession` on this very device; one serves all threads.

    weights: the bytes of an ONNX file, already verified. device: not AUTO, see `first_working`.
    threads: the processors that the layers of one run are spread over; 1 where photos are.
    Raises ModelError where the bytes are no network, DeviceError where the device is not there
    or cannot run it.
    """
    if device is Device.CPU:
        return _on_cpu(weights, threads)
    present = set(ort.get_available_providers())
    if PROVIDERS[device] not in present:
        there = ", ".join(d for d, p in PROVIDERS.items() if p in present)
        raise DeviceError(
            f"device {device} is not there: this onnxruntime offers {there}. "
            f"Install the onnxruntime build for {device}, or use --device cpu."
        )
    missing = _libraries(device)
    options = _options(threads)
    # Otherwise onnxruntime falls back to the CPU with no more than a warning.
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        made = _made(weights, options, device)
    except Exception as error:  # onnxruntime's own types share no base
        raise DeviceError(
            f"device {device} cannot run the model: {missing or _reason(error)}. "
            "`facecli doctor` tells more; --device cpu always works."
        ) from error
    if made.get_providers()[0] != PROVIDERS[device]:
        raise DeviceError(f"device {device} was asked for, onnxruntime took another")
    return made


def first_working(
    weights: bytes, device: Device = Device.AUTO, threads: int = 1
) -> tuple[Any, Device]:
    """The session and its device; AUTO takes the first of AUTO_ORDER that works, else the CPU."""
    if device is not Device.AUTO:
        return session(weights, device, threads), device
    present = set(ort.get_available_providers())
    for candidate in AUTO_ORDER:
        if PROVIDERS[candidate] in present:
            with suppress(DeviceError):
                return session(weights, candidate, threads), candidate
    return session(weights, threads=threads), Device.CPU


def cache_folder() -> Path:
    """Where optimised graphs lie. May not exist."""
    return cache_home() / "graphs"


def _libraries(device: Device) -> str:
    """Load CUDA's libraries from where pip puts them; the first that is missing, if any.

    onnxruntime prints that to stdout, where only results belong; the session's error is silent.
    """
    ort.set_default_logger_severity(4)  # what goes wrong is raised
    if device not in (Device.CUDA, Device.TENSORRT) or not hasattr(ort, "preload_dlls"):
        return ""
    with redirect_stdout(io.StringIO()) as said:
        ort.preload_dlls()
    lines = said.getvalue().splitlines()
    return next((line for line in lines if line.startswith("Failed")), "")


def _reason(error: Exception) -> str:
    """Why no session could be made, in one line."""
    text = (str(error).splitlines() or [type(error).__name__])[0]
    if "assigned to the default CPU EP" in text:  # the provider did not start, or lacks an operator
        return "onnxruntime cannot start it for the whole network; its driver may be missing"
    return text.rstrip(".")


def _on_cpu(weights: bytes, threads: int) -> Any:
    key = _key(weights)
    file = cache_folder() / f"{hashlib.sha256(key).hexdigest()[:32]}.ort"
    if graph := _read(file, key):
        options = _options(threads)
        # It was optimised before it was written: the time to do so is what the cache is for.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        with suppress(Exception):  # then it is made anew
            return _made(graph, options)
    with suppress(Exception):  # no room, no right to write, no such format: then without
        return _optimised(weights, file, key, threads)
    try:
        return _made(weights, _options(threads))
    except Exception as error:
        raise ModelError(f"not a network that onnxruntime can run: {error}") from error


def _optimised(weights: bytes, file: Path, key: bytes, threads: int) -> Any:
    """The session of a network whose optimised graph is put into the cache, whole or not at all."""
    own_folder(file.parent)
    with atomic.draft(file) as draft:
        options = _options(threads)
        options.optimized_model_filepath = str(draft)
        options.add_session_config_entry("session.save_model_format", "ORT")
        made = _made(weights, options)
        graph = draft.read_bytes()
        draft.write_bytes(graph + _digest(key, graph))
        atomic.place(draft, file, replace=True)
    _sweep(file.parent)
    return made


def _read(file: Path, key: bytes) -> bytes:
    """The optimised graph in the file; empty where it is not there, not whole or not ours."""
    try:
        with file.open("rb") as opened:
            if hasattr(os, "geteuid") and os.fstat(opened.fileno()).st_uid != os.geteuid():
                return b""
            graph = opened.read(max(0, os.fstat(opened.fileno()).st_size - _DIGEST))
            digest = opened.read()
    except OSError:
        return b""
    return graph if _digest(key, graph) == digest else b""


def _digest(key: bytes, graph: bytes) -> bytes:
    found = hashlib.sha256(key)
    found.update(graph)
    return found.digest()


def _sweep(folder: Path) -> None:
    """Leave the KEPT newest files: those of runtimes long replaced would stay for ever."""
    atomic.sweep(folder)
    with suppress(OSError):  # another process sweeps, too
        files = sorted(folder.glob("*.ort"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[KEPT:]:
            file.unlink()


def _key(weights: bytes) -> bytes:
    """What an optimised graph depends on: the network, onnxruntime's build, the processor."""
    facts = (hashlib.sha256(weights).hexdigest(), ort.__version__, ort.get_build_info())
    return "\n".join((*facts, platform.machine(), _processor())).encode()


def _processor() -> str:
    """Its name and instruction sets, which decide the layout that weights are stored in."""
    try:
        with Path("/proc/cpuinfo").open("rb", buffering=0) as file:
            lines = file.read(8192).decode(errors="replace").splitlines()
    except OSError:  # macOS and Windows: the name says less, so the machine's own is added
        return f"{platform.processor()} {platform.node()}"
    kept = ("model name", "flags", "Features", "CPU part")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(kept)))


def _options(threads: int) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; the log would only repeat it
    options.intra_op_num_threads = threads
    # Threads that spin while they wait take the processors from those that work on other photos.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _made(network: bytes, options: Any, device: Device = Device.CPU) -> Any:
    # enable_fallback: else it says on stdout, where results belong, that it took the CPU.
    return ort.InferenceSession(network, options, providers=[PROVIDERS[device]], enable_fallback=0)
