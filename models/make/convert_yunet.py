"""Turn OpenCV Zoo's YuNet into the ONNX file that facecli ships: any size, and fewer operators.

    python models/make/convert_yunet.py face_detection_yunet_2023mar.onnx yunet.onnx

What changes: height and width, fixed at 640 in the source, become free, and the shapes of the
tensors in between, which follow from them, are dropped. And the heads are merged: the four of a
stride read the same features, and their 1 + 1 + 4 + 10 channels are one block of 16, as
onnxruntime lays them out, where four convolutions fill four. So their weights are put side by
side, unchanged, and the result is split into the same twelve outputs, equal to rounding. OpenCV
reads the result, too. The same input gives the same bytes every time, and so does the result.

Not handled, and refused: networks without YuNet's input and heads.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from facecli.common.errors import FacecliError, InputError, ModelError
from facecli.recognition.yunet import HEADS, STRIDES

CHANNELS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}  # of the heads, in the order of HEADS
SCORES = ("cls", "obj")  # the heads that end in a sigmoid
MERGED = sum(CHANNELS.values())
SHAPE = "heads.shape"


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """One head as the source computes it.

    features: the tensor that it reads. nodes: from the output back to there. weights: weight and
    bias of the 1x1 convolution and of the depthwise 3x3 one, output channels first.
    """

    features: str
    nodes: tuple[onnx.NodeProto, ...]
    weights: tuple[NDArray[np.float32], ...]


def convert(source: bytes) -> onnx.ModelProto:
    """YuNet's ONNX bytes -> `input` (1, 3, height, width), multiples of 32, and merged heads.

    Raises ModelError for another network.
    """
    try:
        model = onnx.load_from_string(source)
    except Exception as error:  # protobuf's own types share no base
        raise ModelError(f"this is not an ONNX file: {error}") from error
    graph = model.graph
    names = ([v.name for v in graph.input], sorted(v.name for v in graph.output))
    if names != (["input"], sorted(HEADS)):
        raise ModelError("this is not YuNet: its input and heads are not there")
    free_size(graph)
    merge_heads(graph)
    onnx.checker.check_model(model, full_check=True)
    return model


def free_size(graph: onnx.GraphProto) -> None:
    """Let height and width of the input, and with them the number of cells, be anything."""
    del graph.value_info[:]
    _, _, height, width = graph.input[0].type.tensor_type.shape.dim
    height.dim_param, width.dim_param = "height", "width"
    for head in graph.output:
        cells = head.type.tensor_type.shape.dim[1]
        cells.dim_param = f"cells_{head.name.split('_')[1]}"


def merge_heads(graph: onnx.GraphProto) -> None:
    """Compute the four heads of each stride by two convolutions; nothing to do in our own result.

    Raises ModelError where a head is not made as YuNet's are.
    """
    if any(constant.name == SHAPE for constant in graph.initializer):
        return
    made_by = {output: node for node in graph.node for output in node.output}
    constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    arrays: dict[str, NDArray[Any]] = {SHAPE: np.array([1, -1, MERGED], np.int64)}
    nodes: list[onnx.NodeProto] = []
    gone: set[str] = set()
    for stride in STRIDES:
        heads = [read_head(f"{kind}_{stride}", made_by, constants) for kind in CHANNELS]
        if len({head.features for head in heads}) > 1:
            raise ModelError(f"this is not YuNet: its heads at {stride} px read different features")
        # Operators may share a name: their output tells them apart.
        gone |= {node.output[0] for head in heads for node in head.nodes}
        parts = [np.concatenate(same) for same in zip(*(h.weights for h in heads), strict=True)]
        arrays |= dict(zip(weight_names(stride), parts, strict=True))
        nodes += merged_nodes(heads[0].features, stride)
    nodes = [node for node in graph.node if node.output[0] not in gone] + nodes
    used = {name for node in nodes for name in node.input}
    kept = [constant for constant in graph.initializer if constant.name in used]
    added = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept + added)


def read_head(
    name: str, made_by: dict[str, onnx.NodeProto], constants: dict[str, NDArray[np.float32]]
) -> Head:
    """The head of this name, such as `cls_8`. Raises ModelError where it is not as expected."""
    kind = name.split("_")[0]
    operators = ["Sigmoid"] * (kind in SCORES) + ["Reshape", "Transpose", "Conv", "Conv"]
    nodes = chain(name, operators, made_by)
    *_, depthwise, pointwise = nodes
    found = (settings(pointwise), settings(depthwise))
    names = [*pointwise.input[1:], *depthwise.input[1:]]
    weights = tuple(constants[each] for each in names if each in constants)
    if (
        found != (convolution(1, groups=1), convolution(3, groups=CHANNELS[kind]))
        or [array.shape[0] for array in weights] != [CHANNELS[kind]] * 4
    ):
        raise ModelError(f"this is not YuNet: the convolutions of its head {name} are others")
    return Head(pointwise.input[0], nodes, weights)


def chain(
    output: str, operators: list[str], made_by: dict[str, onnx.NodeProto]
) -> tuple[onnx.NodeProto, ...]:
    """The operators that end in `output`, the last one first; ModelError if they are others."""
    nodes: list[onnx.NodeProto] = []
    tensor = output
    for operator in operators:
        node = made_by.get(tensor)
        if node is None or node.op_type != operator:
            raise ModelError(f"this is not YuNet: its head {output} lacks {operator}")
        nodes.append(node)
        tensor = node.input[0]
    return tuple(nodes)


def settings(node: onnx.NodeProto) -> dict[str, Any]:
    """An operator's attributes by name."""
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def convolution(side: int, groups: int) -> dict[str, Any]:
    """The attributes of a convolution with a `side` x `side` kernel that keeps the size."""
    return {
        "dilations": [1, 1],
        "group": groups,
        "kernel_shape": [side, side],
        "pads": [side // 2] * 4,
        "strides": [1, 1],
    }


def weight_names(stride: int) -> list[str]:
    """Of the merged convolutions, in the order of `Head.weights`."""
    parts = ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias")
    return [f"heads.{stride}.{part}" for part in parts]


def merged_nodes(features: str, stride: int) -> list[onnx.NodeProto]:
    """The operators from the features of a stride to its four outputs.

    Transposed once and then split: of the orders tried the fastest, because onnxruntime makes the
    transposition part of leaving its own layout.
    """
    weight1, bias1, weight2, bias2 = weight_names(stride)
    point, depth, last, rows = (f"heads.{stride}.{n}" for n in ("conv1", "conv2", "nhwc", "rows"))
    ends = {k: f"{k}_{stride}" + ".logit" * (k in SCORES) for k in CHANNELS}
    node = helper.make_node
    return [
        node("Conv", [features, weight1, bias1], [point], **convolution(1, groups=1)),
        node("Conv", [point, weight2, bias2], [depth], **convolution(3, groups=MERGED)),
        node("Transpose", [depth], [last], perm=[0, 2, 3, 1]),
        node("Reshape", [last, SHAPE], [rows]),
        node("Split", [rows], list(ends.values()), axis=2, split=list(CHANNELS.values())),
        *(node("Sigmoid", [ends[kind]], [f"{kind}_{stride}"]) for kind in SCORES),
    ]


def main() -> int:
    """Convert the file named on the command line; the exit code is the error's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="OpenCV Zoo's file")
    parser.add_argument("target", type=Path, help="the ONNX file to write")
    args = parser.parse_args()
    try:
        if not args.source.is_file():
            raise InputError(f"{args.source} is not a file; name the ONNX file")
        data = convert(args.source.read_bytes()).SerializeToString(deterministic=True)
    except FacecliError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    args.target.write_bytes(data)
    print(f"{hashlib.sha256(data).hexdigest()}  {args.target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
