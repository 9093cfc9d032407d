"""ONNX graphs that onnxruntime runs several times faster on a CPU, with the same outputs.

`rewritten` does this for a model that a user adds; the shipped ones were rewritten when they were
converted (models/make/).

onnxruntime has no blocked (NCHWc) kernel for PRelu, so every PRelu sends its neighbours back to
the plain layout. `rewrite_prelu` writes PRelu with operators that do have one. For one channel
with slope a and s = |1 - a|:

    PReLU(x; a) = sign(1 - a) * (relu(s x) + a / (1 - a) * (s x))

s goes into the convolution that makes x, the factor is a 1x1 depthwise convolution (which
onnxruntime fuses with the sum), and the sign, where a > 1, goes into the convolution or
normalisation that reads the result. Only worth it with graph optimisation ORT_ENABLE_ALL.

Not handled: PRelus whose neighbours cannot take the factors stay as they are, which is always
correct and merely slower.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from facecli.common.types import Float64
from facecli.recognition.model_zoo.check import output_of

NEAREST_TO_IDENTITY = 2.0**-20  # |1 - a| below this is moved here: 1e-6 of the value
LARGEST_ERROR = 1e-5  # of a number of the unit vector; rounding makes 3e-7


def rewritten(content: bytes, mean: float, std: float) -> bytes | None:
    """The network of a model file without PRelu; None where that is not to be had.

    content: an ONNX file that passes `output_of`; mean, std: as there. None, too, where the
    rewritten network's unit vector differs by more than LARGEST_ERROR anywhere.
    """
    try:
        model = onnx.load_model_from_string(content)
        if not any(node.op_type == "PRelu" for node in model.graph.node):
            return None
        faster = rewrite_prelu(model).SerializeToString()
        error = np.abs(output_of(faster, mean, std) - output_of(content, mean, std)).max()
    except Exception:  # protobuf's, onnx's and numpy's: what cannot be rewritten runs as it is
        return None
    return bytes(faster) if error <= LARGEST_ERROR else None


class _Graph:
    """A graph under change: its nodes in order and its constants as arrays, by name."""

    def __init__(self, proto: onnx.GraphProto) -> None:
        self.nodes = list(proto.node)
        self.weights = {t.name: numpy_helper.to_array(t) for t in proto.initializer}
        self.outputs = {value.name for value in proto.output}

    def maker(self, name: str) -> onnx.NodeProto | None:
        """The node that writes tensor `name`, None for an input or a constant."""
        return next((node for node in self.nodes if name in node.output), None)

    def readers(self, name: str) -> list[onnx.NodeProto]:
        """The nodes that read tensor `name`."""
        return [node for node in self.nodes if name in node.input]

    def is_private(self, name: str) -> bool:
        """Whether exactly one node reads tensor `name`, and the graph does not hand it out."""
        return name not in self.outputs and len(self.readers(name)) == 1

    def has_constants(self, node: onnx.NodeProto) -> bool:
        """Whether all inputs but the first are constants."""
        return all(name in self.weights for name in node.input[1:])

    def constant(self, node: onnx.NodeProto, index: int) -> Float64:
        """Constant input `index` in float64, so that factors are rounded once, when stored."""
        return self.weights[node.input[index]].astype(np.float64)

    def set_constant(self, node: onnx.NodeProto, index: int, values: Float64) -> None:
        """Store `values` as the node's own input `index`; other readers of the old one keep it."""
        name = f"{node.output[0]}/constant_{index}"
        self.weights[name] = values.astype(np.float32)
        while len(node.input) <= index:
            node.input.append("")
        node.input[index] = name

    def write_to(self, proto: onnx.GraphProto) -> None:
        """Put nodes and the constants still in use back; constants leave the graph's inputs."""
        used = dict.fromkeys(name for node in self.nodes for name in node.input)
        kept = {name: self.weights[name] for name in used if name in self.weights}
        inputs = [value for value in proto.input if value.name not in self.weights]
        for field in ("node", "initializer", "input", "value_info"):
            proto.ClearField(field)
        proto.node.extend(self.nodes)
        proto.input.extend(inputs)
        proto.initializer.extend(numpy_helper.from_array(v, name) for name, v in kept.items())


def rewrite_prelu(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model` in which PRelu after a convolution is Relu + depthwise Conv + Add.

    Also drops Dropout (which does nothing outside training), folds BatchNormalization into the
    convolution before it, and takes constants out of the graph's inputs, where old exporters
    list them and thereby forbid onnxruntime to optimise them. float32 models; outputs agree
    with the original's to about 1e-6 of their norm.
    """
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    graph = _Graph(rewritten.graph)
    for node in [n for n in graph.nodes if n.op_type == "Dropout"]:
        _drop(graph, node)
    for node in [n for n in graph.nodes if n.op_type == "BatchNormalization"]:
        _fold_batch_norm(graph, node)
    for node in [n for n in graph.nodes if n.op_type == "PRelu"]:
        _split_prelu(graph, node)
    graph.write_to(rewritten.graph)
    rewritten.ir_version = max(rewritten.ir_version, 4)  # from 4 on constants need not be inputs
    onnx.checker.check_model(rewritten)
    return rewritten


def _attribute(node: onnx.NodeProto, name: str, default: float) -> float:
    """A numeric attribute of the node."""
    found = (helper.get_attribute_value(a) for a in node.attribute if a.name == name)
    return float(next(found, default))


def _drop(graph: _Graph, node: onnx.NodeProto) -> None:
    """Remove a node that hands its first input through, unless the graph hands its output out."""
    if node.output[0] in graph.outputs:
        return
    for reader in graph.readers(node.output[0]):
        reader.input[:] = [node.input[0] if n == node.output[0] else n for n in reader.input]
    graph.nodes.remove(node)


def _private_conv(graph: _Graph, name: str) -> onnx.NodeProto | None:
    """The convolution with constant weights that makes `name` for one reader only, if it is one."""
    maker = graph.maker(name)
    if maker is None or maker.op_type != "Conv" or not graph.is_private(name):
        return None
    if not graph.has_constants(maker) or graph.weights[maker.input[1]].dtype != np.float32:
        return None
    return maker


def _scale_outputs(graph: _Graph, conv: onnx.NodeProto, factor: Float64, shift: Float64) -> None:
    """Make the convolution yield factor * y + shift; both (out_channels,)."""
    weight = graph.constant(conv, 1)
    graph.set_constant(conv, 1, weight * factor[:, None, None, None])
    bias = graph.constant(conv, 2) if len(conv.input) > 2 else np.zeros(len(factor))
    graph.set_constant(conv, 2, bias * factor + shift)


def _fold_batch_norm(graph: _Graph, node: onnx.NodeProto) -> None:
    """Let the convolution before a BatchNormalization do its work, where there is one.

    y = scale * (x - mean) / sqrt(variance + epsilon) + bias (onnx.ai/onnx/operators).
    """
    conv = _private_conv(graph, node.input[0])
    if conv is None or not graph.has_constants(node) or len(node.output) > 1:
        return
    scale, bias, mean, variance = (graph.constant(node, i) for i in range(1, 5))
    factor = scale / np.sqrt(variance + _attribute(node, "epsilon", 1e-5))
    _scale_outputs(graph, conv, factor, bias - mean * factor)
    conv.output[0] = node.output[0]
    graph.nodes.remove(node)


def _split_prelu(graph: _Graph, node: onnx.NodeProto) -> None:
    """Replace one PRelu by Relu + depthwise Conv + Add, if its neighbours can take the factors."""
    conv = _private_conv(graph, node.input[0])
    if conv is None or not graph.has_constants(node):
        return
    x, out, slope = node.input[0], node.output[0], _slope(graph, node, conv)
    if slope is None or not _flip_signs(graph, out, np.where(slope > 1, -1.0, 1.0)):
        return
    _scale_outputs(graph, conv, np.abs(1 - slope), np.zeros_like(slope))
    positive, linear = f"{out}/positive", f"{out}/linear"
    depthwise = helper.make_node(
        "Conv", [x], [linear], linear, group=len(slope), kernel_shape=[1, 1]
    )
    graph.set_constant(depthwise, 1, (slope / (1 - slope))[:, None, None, None])
    at = graph.nodes.index(node)
    graph.nodes[at : at + 1] = [
        helper.make_node("Relu", [x], [positive], positive),
        depthwise,
        helper.make_node("Add", [positive, linear], [out], out),
    ]


def _slope(graph: _Graph, node: onnx.NodeProto, conv: onnx.NodeProto) -> Float64 | None:
    """The slope of each channel, (C,), never exactly 1; None unless it is one number a channel."""
    slope, channels = graph.constant(node, 1), graph.constant(conv, 1).shape[0]
    if slope.size != 1 and slope.shape not in ((channels, 1, 1), (1, channels, 1, 1)):
        return None
    flat = np.broadcast_to(slope.reshape(-1), (channels,))
    return np.where(np.abs(1 - flat) < NEAREST_TO_IDENTITY, 1 - NEAREST_TO_IDENTITY, flat)


def _flip_signs(graph: _Graph, name: str, sign: Float64) -> bool:
    """Make every reader of `name` expect sign * values, (C,); False, untouched, if one cannot."""
    if np.all(sign > 0):
        return True
    readers = graph.readers(name)
    if name in graph.outputs or not all(_takes_signs(graph, r, len(sign)) for r in readers):
        return False
    for reader in readers:
        if reader.op_type == "BatchNormalization":  # -scale * (-x - -mean) = scale * (x - mean)
            graph.set_constant(reader, 1, graph.constant(reader, 1) * sign)
            graph.set_constant(reader, 3, graph.constant(reader, 3) * sign)
        else:
            weight = graph.constant(reader, 1)
            graph.set_constant(reader, 1, weight * _filter_signs(reader, weight, sign))
    return True


def _takes_signs(graph: _Graph, node: onnx.NodeProto, channels: int) -> bool:
    """Whether the node's constants can take a sign for each channel of its input."""
    if node.op_type not in ("Conv", "BatchNormalization") or not graph.has_constants(node):
        return False
    return _attribute(node, "group", 1) in (1, channels)


def _filter_signs(conv: onnx.NodeProto, weight: Float64, sign: Float64) -> Float64:
    """The input channels' signs, shaped to multiply a plain or a depthwise filter."""
    if _attribute(conv, "group", 1) == 1:
        return sign[None, :, None, None]
    return np.repeat(sign, len(weight) // len(sign))[:, None, None, None]
