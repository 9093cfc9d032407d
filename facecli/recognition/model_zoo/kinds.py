"""What a file is that somebody takes for an ONNX network: named, with what to do about it.

People have networks as their frameworks save them, and downloads that are something else. The
first bytes tell. What none of these knows is left to onnxruntime.
"""

from __future__ import annotations

import io
import re
import zipfile

from facecli.common.errors import ModelError
from facecli.common.file_kinds import HEAD, file_kind

_LFS = b"version https://git-lfs.github.com/spec/v1"
_EXPORT = "load it with its own code and export it with torch.onnx.export, then add that"
_CONVERT = "convert it with tf2onnx, then add that"
_DOWNLOAD = "open the link in a browser: it may ask you to sign in, or to confirm"
_IR = re.compile(r"IR version: (\d+), max supported IR version: (\d+)")
_OPSET = re.compile(r"[Oo]pset (\d+) is under development.*?till opset (\d+)", re.DOTALL)
_OPERATOR = re.compile(r"Fatal error: ([\w.:]+)\(.*not a registered|No Op registered for (\w+)")
_NO_PROTOBUF = re.compile("protobuf parsing failed|No graph was found", re.IGNORECASE)


def require_network(content: bytes) -> None:
    """Raise ModelError, with its name and a cure, where a file is known to be something else."""
    if found := _known(content):
        what, cure = found
        raise ModelError(f"this is {what}, not an ONNX network: {cure}")


def in_words(said: str) -> str:
    """What onnxruntime's complaint about a file means; empty where it is not one of these."""
    older = "upgrade onnxruntime, or export the network again with a lower opset"
    if found := _IR.search(said):
        return f"its IR version is {found[1]}, and this onnxruntime reads up to {found[2]}: {older}"
    if found := _OPSET.search(said):
        return f"its opset is {found[1]}, and this onnxruntime knows up to {found[2]}: {older}"
    if found := _OPERATOR.search(said):
        operator = found[1] or found[2]
        return f"this onnxruntime does not know its operator {operator}: {older}"
    return "it is no ONNX network, or a damaged one" if _NO_PROTOBUF.search(said) else ""


def _known(content: bytes) -> tuple[str, str] | None:
    """What it is and what to do, where these bytes tell."""
    start = content[:HEAD].lstrip()
    if not content:
        return "an empty file", "fetch it again"
    if content.startswith(_LFS):
        return (
            "a Git LFS pointer, which only names the file",
            "run `git lfs pull` in its repository, or download the file itself",
        )
    if re.match(rb"<(!doctype html|html)", start, re.IGNORECASE):
        return "a web page", _DOWNLOAD
    if content.startswith((b"PK\3\4", b"PK\5\6")):
        return _archive(content)
    if re.match(rb"\x80[\2-\5]", content):
        return "a Python pickle, as older PyTorch checkpoints are", _EXPORT
    if content.startswith(b"\x89HDF\r\n\x1a\n"):
        return "a Keras (HDF5) model", _CONVERT
    if content[4:8] == b"TFL3":
        return "a TensorFlow Lite model", _CONVERT
    if content[8:9] == b"{" and int.from_bytes(content[:8], "little") < len(content):
        return "a safetensors file, which holds weights without a network", _EXPORT
    if start.startswith(b"<?xml"):
        return "XML, perhaps half of an OpenVINO model", "give the ONNX file that it was made from"
    if name := file_kind(content[:HEAD]).name:
        packed = name in ("GZ", "7Z", "RAR")
        return f"a {name} file", "unpack it, and add the .onnx in it" if packed else "give an .onnx"
    return None


def _archive(content: bytes) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError):
        return "a damaged ZIP archive", "fetch it again"
    if any(name.endswith("/constants.pkl") for name in names):
        return "a TorchScript module", _EXPORT
    if any(name.endswith("data.pkl") for name in names):
        return "a PyTorch checkpoint", _EXPORT
    if "model.weights.h5" in names:
        return "a Keras model", _CONVERT
    if names and all(name.endswith(".npy") for name in names):
        return "NumPy arrays (.npz)", "give the ONNX file"
    inside = next((name for name in names if name.lower().endswith(".onnx")), "")
    return (
        "a ZIP archive",
        f"unpack it, and add {inside}" if inside else "no .onnx is in it, either",
    )
