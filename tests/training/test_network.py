"""A network in two computes what the whole does, and what is learnt comes back into its file."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="NOT CHECKED: pip install 'facecli[train]'")
pytest.importorskip("onnx2torch", reason="NOT CHECKED: pip install 'facecli[train]'")

import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper
from support.networks import iresnet, network
from support.places import SFACE

from facecli.common.enums import Part
from facecli.common.errors import ModelError
from facecli.recognition.model_zoo import registry
from facecli.training.network import divide, written_back

pytestmark = pytest.mark.training


def contents() -> dict[str, bytes]:
    """What ships as it ships, SFace's large weights in 16 bits; and other forms."""
    found = {name: registry.find_embedder(name).path.read_bytes() for name in SHIPPED}
    found["iresnet"] = iresnet()
    return found | ({"published sface": SFACE.read_bytes()} if SFACE.is_file() else {})


SHIPPED = (registry.DEFAULT_EMBEDDER, "sface")
CONTENTS = contents()


def run(content: bytes, values: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: values})[0]


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def crops(count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 3, 112, 112)).astype(np.float32)


@pytest.mark.parametrize("part", list(Part))
@pytest.mark.parametrize("name", CONTENTS)
def test_both_parts_together_are_the_whole(name: str, part: Part) -> None:
    divided = divide(CONTENTS[name], part)
    assert (divided.front == b"") == (part is Part.ALL)
    assert 0 < divided.trained <= divided.weights
    values = run(divided.front, crops()) if divided.front else crops()
    with torch.no_grad():
        made = divided.module(torch.from_numpy(values)).numpy()
    whole = np.concatenate([run(CONTENTS[name], one[None]) for one in crops()])
    assert np.abs(unit(made) - unit(whole)).max() < 1e-5


@pytest.mark.parametrize("name", CONTENTS)
def test_parts_grow_and_all_is_all_that_can_be_trained(name: str) -> None:
    head, last, every = (divide(CONTENTS[name], part).trained for part in Part)
    assert head <= last < every
    assert last >= 0.3 * divide(CONTENTS[name], Part.ALL).weights


@pytest.mark.parametrize("part", list(Part))
@pytest.mark.parametrize("name", CONTENTS)
def test_what_is_learnt_is_in_the_file_and_nothing_else_has_changed(name: str, part: Part) -> None:
    divided = divide(CONTENTS[name], part)
    with torch.no_grad():
        for number, parameter in enumerate(divided.module.parameters()):
            parameter.mul_(1 + 0.01 * (number % 3))
    content = written_back(divided, divided.module)
    values = run(divided.front, crops()) if divided.front else crops()
    with torch.no_grad():
        wanted = divided.module(torch.from_numpy(values)).numpy()
    found = run(content, crops())  # two crops at once, whatever the file took before
    assert np.abs(unit(found) - unit(wanted)).max() < 1e-4
    before, after = (onnx.load_model_from_string(c).graph for c in (CONTENTS[name], content))
    left = [n.op_type for n in before.node if n.op_type != "Cast"]  # of 16-bit weights
    assert left == [n.op_type for n in after.node]
    assert len(before.initializer) == len(after.initializer)
    onnx.checker.check_model(onnx.load_model_from_string(content))


def test_an_operator_that_cannot_be_converted_is_named() -> None:
    model = onnx.load_model_from_string(network())
    strange = helper.make_node("Shrink", ["out"], ["strange"])
    model.graph.node.append(strange)
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("strange", TensorProto.FLOAT, None))
    with pytest.raises(ModelError, match="Shrink"):
        divide(model.SerializeToString(), Part.ALL)


def test_a_network_without_numbers_cannot_be_trained() -> None:
    with pytest.raises(ModelError, match="nothing to train"):
        divide(network(), Part.LAST)
