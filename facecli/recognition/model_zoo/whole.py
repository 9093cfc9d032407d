"""An ONNX file that holds all of its weights: others could be exchanged without a trace.

ONNX lets a tensor name another file for its values. onnxruntime looks for that in the folder that
one happens to stand in, and the sha256 of a model says nothing of it.
"""

from __future__ import annotations

from typing import Any

from facecli.common.errors import ModelError

_MARK = b"location"  # the key that names the other file; onnxruntime reads no other


def require_whole(content: bytes) -> None:
    """Raise ModelError where weights of the network lie in another file.

    Looking for the mark takes 1 ms for 5 MB; a file that holds it, in the name of a layer perhaps,
    is read with onnx, which takes 0.2 s to import.
    """
    if _MARK in content and _names_another_file(content):
        raise ModelError(
            "weights of this network lie in another file, which could be exchanged: put them into "
            "one, with onnx.save(onnx.load(FILE), NEW_FILE), and add that"
        )


def _names_another_file(content: bytes) -> bool:
    try:
        import onnx
    except ImportError as missing:
        raise ModelError(
            "whether weights of this network lie in another file can only be told with an "
            "optional extra: pip install 'facecli[models]'"
        ) from missing
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's: what it cannot read it cannot vouch for
        raise ModelError("this is no ONNX network, or a damaged one") from error
    return _outside(model)


def _outside(message: Any) -> bool:
    """Whether a tensor of this message, however deep, names another file."""
    if message.DESCRIPTOR.full_name == "onnx.TensorProto":
        return bool(message.external_data) or message.data_location == message.EXTERNAL
    return any(
        _outside(part)
        for field, value in message.ListFields()
        if field.message_type is not None
        for part in (value if hasattr(value, "__len__") else (value,))
    )
