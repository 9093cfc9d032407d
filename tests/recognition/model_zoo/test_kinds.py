"""What people take for an ONNX network is named, with what to do about it."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from support.networks import network

from facecli.common.errors import ModelError
from facecli.recognition.model_zoo.add import add_model
from facecli.recognition.model_zoo.check import output_of
from facecli.recognition.model_zoo.kinds import require_network


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return out.getvalue()


def safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 13622\n"
KINDS = {
    "a PyTorch checkpoint": zipped("archive/data.pkl", "archive/data/0"),
    "a TorchScript module": zipped("m/constants.pkl", "m/data.pkl", "m/code/a.py"),
    "as older PyTorch checkpoints are": pickle.dumps({"w": 1}, protocol=2),
    "a Git LFS pointer": LFS,
    "a web page": b"\n<!DOCTYPE html><html><title>Sign in</title></html>",
    "an empty file": b"",
    "a Keras (HDF5) model": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "a Keras model": zipped("config.json", "model.weights.h5"),
    "a TensorFlow Lite model": b"\x1c\0\0\0TFL3" + bytes(100),
    "a safetensors file": safetensors(),
    "add w600k_r50.onnx": zipped("det_10g.txt", "w600k_r50.onnx"),
    "no .onnx is in it": zipped("readme.txt"),
    "NumPy arrays": zipped("a.npy"),
    "a GZ file": b"\x1f\x8b\x08" + bytes(50),
    "a JPEG file": b"\xff\xd8\xff\xe0" + bytes(50),
    "OpenVINO": b'<?xml version="1.0"?><net name="m">',
}


@pytest.mark.parametrize("words", KINDS)
def test_it_is_named_before_anything_is_asked(words: str, tmp_path: Path) -> None:
    file = tmp_path / "m.onnx"
    file.write_bytes(KINDS[words])
    with pytest.raises(ModelError) as told:
        add_model(file)  # without a word on its input, which it would be asked for
    assert words in str(told.value) and "not an ONNX network" in str(told.value)
    assert "\n" not in str(told.value) and "[ONNXRuntimeError]" not in str(told.value)


def test_networks_are_none_of_these() -> None:
    require_network(network())
    require_network(b"\x08\x08" + bytes(20))  # the field every ONNX file begins with


def made(operator: str = "Flatten", opset: int = 13, ir: int = 8) -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 112, 112])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["out"])], "g", [x], [out])
    opsets = [helper.make_opsetid("", opset)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=ir)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (made(opset=999), "its opset is 999, and this onnxruntime knows up to"),
        (made(ir=999), "its IR version is 999, and this onnxruntime reads up to"),
        (made("Nonsense"), "this onnxruntime does not know its operator Nonsense"),
        (b"not a network", "no ONNX network, or a damaged one"),
        (made()[:50], "no ONNX network, or a damaged one"),
    ],
    ids=["opset", "IR", "operator", "text", "half"],
)
def test_what_onnxruntime_says_is_said_in_words(content: bytes, said: str) -> None:
    with pytest.raises(ModelError) as told:
        output_of(content, 127.5, 128)
    text = str(told.value)
    assert said in text
    assert "onnxruntime::" not in text and ".cc" not in text and "ONNXRuntimeError" not in text
