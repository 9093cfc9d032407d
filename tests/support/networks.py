"""A small real network for tests that only need some embedder."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


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


def iresnet(blocks: int = 3, width: int = 8, dimension: int = 64) -> bytes:
    """A small IResNet (arXiv:2004.04989) as InsightFace exports its packs, with random weights.

    A stem, then blocks of BatchNorm, Conv, BatchNorm, PRelu, Conv with stride 2, BatchNorm beside
    a shortcut; at the end BatchNorm, Flatten, Gemm and BatchNorm. Slopes up to 1.5, one exactly 1.
    """
    draw = np.random.default_rng(5)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def layer(kind: str, x: str, values: list[np.ndarray], **attributes: int | list[int]) -> str:
        out = f"{kind}_{len(nodes)}"
        names = [f"{out}.{i}" for i in range(len(values))]
        weights.extend(
            numpy_helper.from_array(v.astype(np.float32), n)
            for v, n in zip(values, names, strict=True)
        )
        nodes.append(helper.make_node(kind, [x, *names], [out], out, **attributes))
        return out

    def conv(x: str, inputs: int, side: int, stride: int) -> str:
        filters = draw.normal(size=(width, inputs, side, side)) / np.sqrt(inputs * side * side)
        pads = [side // 2] * 4
        return layer("Conv", x, [filters], strides=[stride] * 2, pads=pads)

    def norm(x: str, size: int = width) -> str:
        spread = draw.uniform(0.5, 2, size=(2, size))
        return layer("BatchNormalization", x, [spread[0], *draw.normal(size=(2, size)), spread[1]])

    def prelu(x: str) -> str:
        slopes = np.linspace(-0.5, 1.5, width)
        slopes[-2] = 1.0
        return layer("PRelu", x, [draw.permutation(slopes)[:, None, None]])

    x = prelu(norm(conv("x", 3, 3, 2)))
    for _ in range(blocks):
        inner = prelu(norm(conv(norm(x), width, 3, 1)))
        inner = norm(conv(inner, width, 3, 2))
        nodes.append(helper.make_node("Add", [inner, norm(conv(x, width, 1, 2))], [f"sum{x}"]))
        x = f"sum{x}"
    nodes.append(helper.make_node("Flatten", [norm(x)], ["flat"]))
    size = width * (112 >> blocks + 1) ** 2
    gemm = [draw.normal(size=(dimension, size)) / np.sqrt(size), draw.normal(size=dimension)]
    last = norm(layer("Gemm", "flat", gemm, transB=1), dimension)
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 112, 112])
    out = helper.make_tensor_value_info(last, TensorProto.FLOAT, ["N", dimension])
    graph = helper.make_graph(nodes, "iresnet", [image], [out], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
