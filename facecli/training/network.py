"""An embedder's ONNX network in two: a part that stays, run by onnxruntime, and a trained one.

The trained part becomes a torch module by onnx2torch. What it has learnt is written back into the
very ONNX file that it came from: graph, operators, opset and free batch stay, only numbers change.
Weights kept in 16 bits become 32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from facecli.common.enums import Part
from facecli.common.errors import ModelError
from facecli.common.types import Float32

LAST_SHARE = 0.3  # of the weights that `last` trains at least


@dataclass(frozen=True, slots=True)
class Divided:
    """A network cut at a tensor that all of it passes through.

    whole: the file, its batch free and its weights as they are computed with. front, tail: the ONNX
    bytes from the crop to the cut, and from there to the embedding; front is empty where all is
    trained. module: the tail in torch, in evaluation mode (normalisation by the statistics of the
    published training stays as it is).
    homes: where each of its parameters is kept in the file.
    trained, weights: how many numbers are trained, and how many there are.
    """

    whole: bytes
    front: bytes
    tail: bytes
    module: Any
    homes: Mapping[str, Home]
    trained: int
    weights: int


@dataclass(frozen=True, slots=True)
class Home:
    """Where a parameter is kept. initializer: its name. transposed: whether torch has it so."""

    initializer: str
    transposed: bool


def divide(content: bytes, part: Part) -> Divided:
    """Cut a network for training.

    content: an ONNX file that passes `check.output_of`. Raises ModelError where an operator cannot
    be converted, or a trained number has no place in the file.
    """
    model = _whole_weights(_free_batch(onnx.load_model_from_string(content)))
    front, tail = _parts(model, part)
    total = sum(
        tensor.size
        for tensor in map(numpy_helper.to_array, model.graph.initializer)
        if _trainable(tensor)
    )
    module = _converted(tail)
    homes = _homes(tail, module)
    trained = sum(int(p.numel()) for p in module.parameters())
    if not trained:
        raise ModelError("there is nothing to train in this network: it holds no weights")
    return Divided(
        model.SerializeToString(), front, tail.SerializeToString(), module, homes, trained, total
    )


def tail_of(content: bytes, part: Part) -> bytes:
    """The ONNX bytes behind the cut, of a file that `written_back` gave."""
    return bytes(_parts(onnx.load_model_from_string(content), part)[1].SerializeToString())


def written_back(divided: Divided, module: Any) -> bytes:
    """The ONNX file with the parameters of a trained module of the same form."""
    model = onnx.load_model_from_string(divided.whole)
    places = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, parameter in module.named_parameters():
        home = divided.homes[name]
        place = places[home.initializer]
        values = parameter.detach().cpu().numpy()
        if home.transposed:
            values = values.T
        shaped = np.ascontiguousarray(values, np.float32).reshape(tuple(place.dims))
        place.CopyFrom(numpy_helper.from_array(shaped, place.name))
    return bytes(model.SerializeToString())


def _free_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """With any number of crops at once, whatever the file says; shapes in between are left out."""
    for value in (*model.graph.input, *model.graph.output):
        dimensions = value.type.tensor_type.shape.dim
        if value.name not in {t.name for t in model.graph.initializer} and len(dimensions):
            dimensions[0].ClearField("dim_value")
            dimensions[0].dim_param = "N"
    model.graph.ClearField("value_info")
    return model


def _whole_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """With the weights that a file keeps in 16 bits as the 32 that it computes with.

    What is learnt in small steps would be lost in 16 bits; and onnx2torch reads no such file.
    """
    graph = model.graph
    kept = {tensor.name: tensor for tensor in graph.initializer}
    casts = [
        node for node in graph.node
        if node.op_type == "Cast" and node.input[0] in kept
        and helper.get_node_attr_value(node, "to") == TensorProto.FLOAT
    ]  # fmt: skip
    for node in casts:
        values = numpy_helper.to_array(kept[node.input[0]]).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        graph.node.remove(node)
    read = {name for node in graph.node for name in node.input}
    for node in casts:
        if node.input[0] in kept and node.input[0] not in read:
            graph.initializer.remove(kept.pop(node.input[0]))
    return model


def _parts(model: onnx.ModelProto, part: Part) -> tuple[bytes, onnx.ModelProto]:
    """What stays, empty where all is trained, and what is trained."""
    nodes = list(model.graph.node)
    weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    (output,) = (value.name for value in model.graph.output)
    found = None if part is Part.ALL else _cut(model, weights, part)
    if found is None:
        return b"", _part(model, nodes, None, output)
    at, cut = found
    front = _part(model, nodes[:at], None, cut).SerializeToString()
    return bytes(front), _part(model, nodes[at:], cut, output)


def _cut(model: onnx.ModelProto, weights: Mapping[str, Any], part: Part) -> tuple[int, str] | None:
    """The first node behind the cut and the tensor cut at; None where only the whole will do."""
    behind = 0
    total = sum(values.size for values in weights.values() if _trainable(values))
    wanted = 1 if part is Part.HEAD else LAST_SHARE * total
    nodes = list(model.graph.node)
    for at in range(len(nodes) - 1, 0, -1):
        fresh = {name for name in nodes[at].input if name in weights and weights[name].ndim > 1}
        behind += sum(weights[name].size for name in fresh)
        passing = _passing(nodes, at, weights)
        if behind >= wanted and len(passing) == 1:
            return at, passing.pop()
    return None


def _passing(nodes: Sequence[Any], at: int, weights: Mapping[str, Any]) -> set[str]:
    """What the nodes from `at` on read of the nodes before."""
    made = {name for node in nodes[:at] for name in node.output}
    return {name for node in nodes[at:] for name in node.input if name in made} - set(weights)


def _part(
    model: onnx.ModelProto, nodes: Sequence[Any], start: str | None, end: str
) -> onnx.ModelProto:
    """The network of some nodes in a row. start: the tensor it reads; None for the crop."""
    graph = model.graph
    read = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in graph.initializer if tensor.name in read]
    known = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in known]
    if start is not None:  # with its shape, which some converters ask for
        shapes = onnx.shape_inference.infer_shapes(model).graph.value_info
        unknown = helper.make_tensor_value_info(start, TensorProto.FLOAT, None)
        inputs = [next((value for value in shapes if value.name == start), unknown)]
    outputs = [value for value in graph.output if value.name == end]
    outputs = outputs or [helper.make_tensor_value_info(end, TensorProto.FLOAT, None)]
    made = helper.make_graph(nodes, graph.name, inputs, outputs, weights)
    return helper.make_model(
        made, opset_imports=model.opset_import, ir_version=max(4, model.ir_version)
    )


def _converted(tail: onnx.ModelProto) -> Any:
    import onnx2torch

    try:
        return onnx2torch.convert(tail).eval()
    except NotImplementedError as error:
        raise ModelError(
            f"this network cannot be trained here, onnx2torch cannot convert an operator of it: "
            f"{error}. --part head or last may do without it"
        ) from error
    except Exception as error:  # of onnx2torch and onnx, which share no base
        raise ModelError(
            f"this network cannot be trained here, onnx2torch cannot convert it: {error}"
        ) from error


def _homes(tail: onnx.ModelProto, module: Any) -> dict[str, Home]:
    """Each parameter is told by its numbers among those that its own node reads.

    onnx2torch calls a module as the node it is made of, or numbers it; it may transpose a matrix
    and drops axes of length 1.
    """
    weights = {t.name: numpy_helper.to_array(t) for t in tail.graph.initializer}
    read = [{name for name in node.input if name in weights} for node in tail.graph.node]
    homes: dict[str, Home] = {}
    for name, parameter in module.named_parameters():
        values = parameter.detach().numpy()
        found = next(
            _matching(values, weights, read, {h.initializer for h in homes.values()}), None
        )
        if found is None:
            raise ModelError(
                f"this network cannot be trained here: the numbers of {name} are not kept in the "
                "file as they are used. --part head may do without them"
            )
        homes[name] = found
    return homes


def _matching(
    values: Float32, weights: Mapping[str, Any], read: Sequence[set[str]], taken: set[str]
) -> Iterator[Home]:
    for node in read:
        for name in sorted(node - taken):
            kept = weights[name]
            if kept.size != values.size:
                continue
            if np.array_equal(kept.reshape(-1), values.reshape(-1)):
                yield Home(name, transposed=False)
            elif kept.ndim == 2 and np.array_equal(kept.T.reshape(-1), values.reshape(-1)):
                yield Home(name, transposed=True)


def _trainable(values: Any) -> bool:
    return bool(np.issubdtype(values.dtype, np.floating))
