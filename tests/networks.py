"""A small real network for tests that only need some embedder."""

from __future__ import annotations

import hashlib

import onnx
from onnx import TensorProto, helper


def network(
    side: int = 112, inputs: int = 1, kernel: int = 28, flat: bool = True, bad: bool = False
) -> bytes:
    """A real ONNX network: the crop's mean colours in a grid, 48 numbers for a 112x112 crop."""
    shape = ["N", 3, side, side]
    images = [
        helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, shape) for i in range(inputs)
    ]
    nodes = [
        helper.make_node("Sum", [f"x{i}" for i in range(inputs)], ["sum"]),
        helper.make_node("Neg" if bad else "Abs", ["sum"], ["sign"]),
        helper.make_node("Sqrt" if bad else "Identity", ["sign"], ["y"]),
        helper.make_node(
            "AveragePool", ["y"], ["grid"], kernel_shape=[kernel] * 2, strides=[kernel] * 2
        ),
        helper.make_node("Flatten" if flat else "Identity", ["grid"], ["out"]),
    ]
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "grid", images, [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(onnx.ModelProto.SerializeToString(model))


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
