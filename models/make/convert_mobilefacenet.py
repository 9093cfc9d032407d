"""Turn MobileFaceNet's TFLite file into the ONNX file that facecli ships.

    python models/make/convert_mobilefacenet.py mobilefacenet_arcface.tflite OUT.onnx

What changes: the batch, fixed at 2 in the source, becomes free; NHWC becomes NCHW; TensorFlow's
SAME paddings become numbers; and PReLU, which the source spells with five operators, becomes
one again; last, `rewrite_prelu` writes that PReLU in the form that onnxruntime runs fastest
(`--keep-prelu` leaves it). The same input gives the same bytes every time.

Not handled, and refused by name: quantised weights, and operators other than those in `EMITTERS`.
Needs the `convert` extra: pip install 'facecli[convert]'.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import tflite
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from facecli.common.errors import FacecliError, InputError, ModelError
from facecli.recognition.model_zoo.optimise import rewrite_prelu

OPSET, IR_VERSION = 20, 9  # read by onnxruntime 1.17 and later
KINDS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if name.isupper()}
OPTIONS = {
    "ADD": tflite.AddOptions,
    "SUB": tflite.SubOptions,
    "MUL": tflite.MulOptions,
    "CONV_2D": tflite.Conv2DOptions,
    "DEPTHWISE_CONV_2D": tflite.DepthwiseConv2DOptions,
}
PRELU_PARTS = ("RELU", "ABS", "SUB", "MUL", "ADD")


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """name, NHWC shape, and the values where the tensor is a constant (None elsewhere)."""

    name: str
    shape: tuple[int, ...]
    values: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, eq=False)
class Operator:
    """One TFLite operator. options: its flatbuffer table, None where the kind has none."""

    kind: str
    inputs: tuple[Tensor, ...]
    output: Tensor
    options: tflite.Conv2DOptions | None = None

    @property
    def activation(self) -> int:
        """The activation fused into the operator (`tflite.ActivationFunctionType`)."""
        return self.options.FusedActivationFunction() if self.options else 0


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What one operator becomes: a node that reads `computed` tensors and then `constants`."""

    op_type: str
    computed: int = 1
    constants: tuple[NDArray[np.float32], ...] = ()
    attributes: tuple[tuple[str, int | list[int]], ...] = ()


# --- reading TFLite ---------------------------------------------------------------------------


def read_tensor(model: tflite.Model, index: int) -> Tensor:
    """Tensor `index` of the model's only subgraph; float constants come with their values."""
    table = model.Subgraphs(0).Tensors(index)
    shape = tuple(int(n) for n in table.ShapeAsNumpy())
    data = model.Buffers(table.Buffer()).DataAsNumpy()
    name = table.Name().decode()
    if table.Type() == tflite.TensorType.FLOAT32 and not isinstance(data, int):
        return Tensor(name, shape, data.view("<f4").reshape(shape))
    return Tensor(name, shape, None)


def read_operator(model: tflite.Model, index: int) -> Operator:
    """Operator `index` of the model's only subgraph."""
    table = model.Subgraphs(0).Operators(index)
    code = model.OperatorCodes(table.OpcodeIndex())
    kind = KINDS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
    options = None
    if kind in OPTIONS:
        options = OPTIONS[kind]()
        options.Init(table.BuiltinOptions().Bytes, table.BuiltinOptions().Pos)
    inputs = tuple(read_tensor(model, int(i)) for i in table.InputsAsNumpy())
    return Operator(kind, inputs, read_tensor(model, int(table.Outputs(0))), options)


def restore_prelu(operators: list[Operator]) -> list[Operator]:
    """Each run relu(x) + m * (x - |x|) becomes one PRELU(x, slope) with slope = 2 m.

    Below zero x - |x| is 2x, above it is 0. Runs that are wired otherwise are left as they are.
    """
    restored: list[Operator] = []
    at = 0
    while at < len(operators):
        run = operators[at : at + len(PRELU_PARTS)]
        prelu = as_prelu(run) if tuple(o.kind for o in run) == PRELU_PARTS else None
        restored.append(prelu or operators[at])
        at += len(PRELU_PARTS) if prelu else 1
    return restored


def as_prelu(run: list[Operator]) -> Operator | None:
    """The PRELU that a run of `PRELU_PARTS` spells, None if its wiring says otherwise."""
    relu, absolute, sub, mul, add = run
    x, slope = relu.inputs[0], mul.inputs[0]
    wiring = [t.name for o in (absolute, sub, mul, add) for t in o.inputs]
    expected = [x, x, absolute.output, slope, sub.output, relu.output, mul.output]
    if wiring != [t.name for t in expected] or slope.values is None:
        return None
    if any(o.activation for o in (sub, mul, add)):
        return None
    return Operator("PRELU", (x, replace(slope, values=2 * slope.values)), add.output)


# --- writing ONNX: one function for each kind of operator ---------------------------------------


def constant(operator: Operator, index: int) -> NDArray[np.float32]:
    """The values of a constant input. Raises ModelError where they are computed or not float32."""
    values = operator.inputs[index].values
    if values is None:
        raise ModelError(f"{operator.output.name}: input {index} is not a float32 constant")
    return values


def pads(size: int, kernel: int, stride: int, dilation: int, padding: int) -> tuple[int, int]:
    """Pixels added before and after one axis of length `size`.

    SAME keeps ceil(size / stride) outputs and puts the odd pixel *after* the axis
    (tensorflow.org/api_docs/python/tf/nn, "Notes on padding"); VALID adds none.
    """
    if padding == tflite.Padding.VALID:
        return 0, 0
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def geometry(operator: Operator) -> tuple[tuple[str, list[int]], ...]:
    """The attributes that both kinds of convolution share. Both TFLite filters are (_, H, W, _)."""
    o = operator.options
    strides, dilations = [o.StrideH(), o.StrideW()], [o.DilationHFactor(), o.DilationWFactor()]
    sizes, kernel = operator.inputs[0].shape[1:3], operator.inputs[1].shape[1:3]
    axes = zip(sizes, kernel, strides, dilations, strict=True)
    top_bottom, left_right = (pads(*axis, o.Padding()) for axis in axes)
    edges = [top_bottom[0], left_right[0], top_bottom[1], left_right[1]]
    return (
        ("kernel_shape", list(kernel)),
        ("strides", strides),
        ("dilations", dilations),
        ("pads", edges),
    )


def convolution(operator: Operator) -> Part:
    """A filter (out, H, W, in) becomes (out, in, H, W)."""
    filters = constant(operator, 1).transpose(0, 3, 1, 2)
    return Part("Conv", 1, (filters, constant(operator, 2)), geometry(operator))


def depthwise(operator: Operator) -> Part:
    """A filter (1, H, W, out) becomes (out, 1, H, W), one group for each input channel."""
    filters = constant(operator, 1).transpose(3, 0, 1, 2)
    group = ("group", operator.inputs[0].shape[3])
    return Part("Conv", 1, (filters, constant(operator, 2)), (*geometry(operator), group))


def prelu(operator: Operator) -> Part:
    """A slope (C,) becomes (C, 1, 1), which broadcasts over N, H and W."""
    return Part("PRelu", 1, (constant(operator, 1).reshape(-1, 1, 1),))


def add(operator: Operator) -> Part:
    """A sum of two tensors of one shape (a residual connection)."""
    if operator.inputs[0].shape != operator.inputs[1].shape:
        raise ModelError(f"{operator.output.name}: only sums of equal shapes are converted")
    return Part("Add", 2)


def flatten(operator: Operator) -> Part:
    """(N, 1, 1, C) to (N, C); with H or W above 1 the order of the values would change."""
    if operator.inputs[0].shape[1:3] != (1, 1):
        raise ModelError(f"{operator.output.name}: only 1x1 maps can be flattened")
    return Part("Flatten", 1, (), (("axis", 1),))


EMITTERS: dict[str, Callable[[Operator], Part]] = {
    "ADD": add,
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": depthwise,
    "PRELU": prelu,
    "RESHAPE": flatten,
}


def emit(operator: Operator, graph: onnx.GraphProto) -> None:
    """Append the operator's nodes and constants to `graph`."""
    out = operator.output.name
    if operator.kind not in EMITTERS:
        raise ModelError(f"{out}: {operator.kind} is not converted; add an emitter for it")
    part = EMITTERS[operator.kind](operator)
    names = [t.name for t in operator.inputs[: part.computed + len(part.constants)]]
    for name, values in zip(names[part.computed :], part.constants, strict=True):
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
    raw = f"{out}/before_relu" if operator.activation else out
    graph.node.append(helper.make_node(part.op_type, names, [raw], raw, **dict(part.attributes)))
    if operator.activation == tflite.ActivationFunctionType.RELU:
        graph.node.append(helper.make_node("Relu", [raw], [out], out))
    elif operator.activation:
        raise ModelError(f"{out}: fused activation {operator.activation} is not converted")


# --- the whole ----------------------------------------------------------------------------------


def rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Give a tensor another name wherever nodes read or write it."""
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


def convert(source: bytes) -> onnx.ModelProto:
    """TFLite bytes -> ONNX, `input` (N, 3, H, W) float32 -> `embedding` (N, d) float32.

    Raises ModelError for a model this converter does not cover.
    """
    if not tflite.Model.ModelBufferHasIdentifier(source, 0):
        raise ModelError("this is not a TFLite file")
    table = tflite.Model.GetRootAsModel(source, 0)
    operators = [read_operator(table, i) for i in range(table.Subgraphs(0).OperatorsLength())]
    first, last = operators[0].inputs[0], operators[-1].output
    _, height, width, channels = first.shape
    image = ["N", channels, height, width]
    graph = helper.make_graph(
        [],
        "mobilefacenet_arcface",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", last.shape[1]])],
    )
    for operator in restore_prelu(operators):
        emit(operator, graph)
    rename(graph, first.name, "input")
    rename(graph, last.name, "embedding")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version, model.producer_name = IR_VERSION, "convert_mobilefacenet"
    helper.set_model_props(model, {"source_sha256": hashlib.sha256(source).hexdigest()})
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> int:
    """Convert the file named on the command line; the exit code is the error's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="the TFLite file to read")
    parser.add_argument("target", type=Path, help="the ONNX file to write")
    parser.add_argument("--keep-prelu", action="store_true", help="leave PRelu nodes as they are")
    args = parser.parse_args()
    try:
        if not args.source.is_file():
            raise InputError(f"{args.source} is not a file; name the TFLite file")
        model = convert(args.source.read_bytes())
        if not args.keep_prelu:
            model = rewrite_prelu(model)
    except FacecliError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    data = model.SerializeToString(deterministic=True)
    args.target.write_bytes(data)
    print(f"{hashlib.sha256(data).hexdigest()}  {args.target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
