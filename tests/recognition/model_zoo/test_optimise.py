"""The rewritten graph computes what the original does, and really is rewritten.

At the end as embedders that are added: what runs is rewritten, the publisher's file names it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from support.networks import iresnet, network, sha
from support.places import CROPS, SFACE, needs_sface
from typer.testing import CliRunner

from facecli.cli.models import app
from facecli.common.errors import ModelError
from facecli.common.types import Image
from facecli.recognition.embedder import OnnxEmbedder
from facecli.recognition.model_zoo import add, registry
from facecli.recognition.model_zoo.optimise import rewrite_prelu
from facecli.recognition.model_zoo.specs import ChannelOrder, EmbedderSpec

SLOPES = [0.25, -1.5, 0.0, 1.0, 1.7, 3.0]  # one a channel; exactly 1 and above 1 among them
CHANNELS = len(SLOPES)
GIVEN = add.Preprocessing(ChannelOrder.RGB, mean=127.5, std=128.0, flip=True)

Weights = dict[str, NDArray[np.float32]]


def build(
    nodes: list[onnx.NodeProto], weights: Weights, *, listed: bool = False
) -> onnx.ModelProto:
    """A model x (1, C, 8, 8) -> y; `listed` names the constants among the inputs, as of old."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, CHANNELS, 8, 8])]
    if listed:
        inputs += [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, values.shape)
            for name, values in weights.items()
        ]
    graph = helper.make_graph(
        nodes,
        "block",
        inputs,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, list("nchw"))],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=3 if listed else 8)


def node(op_type: str, inputs: str, output: str, **attributes: int | list[int]) -> onnx.NodeProto:
    return helper.make_node(op_type, inputs.split(), [output], output, **attributes)


def random_weights() -> Weights:
    """Filters w, depthwise filters d, slopes a, and a normalisation's statistics s, b, m, v."""
    draw = np.random.default_rng(7).normal
    shapes = {"w": (CHANNELS, CHANNELS, 3, 3), "d": (2 * CHANNELS, 1, 3, 3)}
    weights = {name: draw(size=shape) for name, shape in shapes.items()}
    weights |= {name: draw(size=CHANNELS) for name in "sbm"}
    weights["v"] = np.exp(draw(size=CHANNELS))
    weights["a"] = np.array(SLOPES).reshape(-1, 1, 1)
    return {name: values.astype(np.float32) for name, values in weights.items()}


def run(model: onnx.ModelProto, image: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: image})[0]


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(n.op_type for n in model.graph.node)


def assert_same_outputs(original: onnx.ModelProto, rewritten: onnx.ModelProto) -> None:
    image = np.random.default_rng(8).normal(size=(1, CHANNELS, 8, 8)).astype(np.float32)
    expected = run(original, image)
    error = np.abs(run(rewritten, image) - expected).max()
    assert error <= 1e-5 * np.abs(expected).max()


PAD = [1, 1, 1, 1]
STEM = [node("Conv", "x w", "c", pads=PAD), node("PRelu", "c a", "p")]
READERS = {
    "conv": [node("Conv", "p w", "y", pads=PAD)],
    "depthwise": [node("Conv", "p d", "y", pads=PAD, group=CHANNELS)],
    "normalisation": [node("BatchNormalization", "p s b m v", "y")],
    "two convs that share weights": [
        node("Conv", "p w", "q", pads=PAD),
        node("Conv", "p w", "r", pads=PAD),
        node("Add", "q r", "y"),
    ],
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("listed", [False, True])
def test_prelu_is_rewritten_whoever_reads_it(reader: str, listed: bool) -> None:
    nodes = STEM + READERS[reader]
    used = {name for n in nodes for name in n.input}
    weights = {k: v for k, v in random_weights().items() if k in used}
    original = build(nodes, weights, listed=listed)
    before = original.SerializeToString()
    rewritten = rewrite_prelu(original)
    assert original.SerializeToString() == before, "the argument was changed"
    assert kinds(rewritten)["PRelu"] == 0
    assert [value.name for value in rewritten.graph.input] == ["x"]
    assert_same_outputs(original, rewritten)


def test_normalisation_and_dropout_before_prelu_are_folded() -> None:
    nodes = [
        node("Conv", "x w", "c", pads=PAD),
        node("BatchNormalization", "c s b m v", "n"),
        node("Dropout", "n", "n2"),
        node("PRelu", "n2 a", "p"),
        node("Conv", "p w", "y", pads=PAD),
    ]
    original = build(nodes, random_weights())
    rewritten = rewrite_prelu(original)
    assert kinds(rewritten) == {"Conv": 3, "Relu": 1, "Add": 1}
    assert_same_outputs(original, rewritten)


KEPT = {
    "a sum cannot take the sign": [*STEM, node("Add", "p x", "y")],
    "the caller cannot take the sign": [STEM[0], node("PRelu", "c a", "y")],
    "a sum reads the convolution too": [
        *STEM,
        node("Conv", "p w", "q", pads=PAD),
        node("Add", "q c", "y"),
    ],
    "no convolution makes its input": [node("PRelu", "x a", "p"), node("Conv", "p w", "y")],
}


@pytest.mark.parametrize("why", KEPT)
def test_prelu_stays_where_its_neighbours_cannot_take_the_factors(why: str) -> None:
    original = build(KEPT[why], random_weights())
    rewritten = rewrite_prelu(original)
    assert kinds(rewritten)["PRelu"] == 1
    assert_same_outputs(original, rewritten)


def test_prelu_stays_where_the_caller_reads_the_convolution_too() -> None:
    original = build([*STEM, node("Conv", "p w", "y")], random_weights())
    caller_reads = helper.make_tensor_value_info("c", TensorProto.FLOAT, list("nchw"))
    original.graph.output.insert(0, caller_reads)
    rewritten = rewrite_prelu(original)
    assert kinds(rewritten)["PRelu"] == 1
    assert_same_outputs(original, rewritten)


@needs_sface
def test_sface_is_rewritten_with_equal_outputs() -> None:
    original = onnx.load(SFACE)
    rewritten = rewrite_prelu(original)
    assert kinds(original)["PRelu"] == kinds(rewritten)["Relu"] == 27
    assert kinds(rewritten)["PRelu"] == kinds(rewritten)["Dropout"] == 0
    face = cv2.imread(str(CROPS["Grace Hopper"]))
    crop = face[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)
    images = [crop, np.ascontiguousarray(crop[..., ::-1])]
    units = [[v / np.linalg.norm(v) for v in (run(m, i) for i in images)]
             for m in (original, rewritten)]  # fmt: skip
    np.testing.assert_allclose(units[1], units[0], rtol=0, atol=1e-5)
    assert np.sum(units[0][0] * units[0][1]) > 0.8, "these outputs do not see the face"


# added embedders ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACECLI_HOME", str(tmp_path / "facecli"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def crops() -> Image:
    face = cv2.imread(str(CROPS["Grace Hopper"]))
    return np.stack([face, face[:, ::-1], face // 3])


def added(folder: Path, content: bytes) -> EmbedderSpec:
    (folder / "some.onnx").write_bytes(content)
    return add.add_model(folder / "some.onnx", "mine", GIVEN)


def kinds_in(content: bytes) -> Counter[str]:
    return kinds(onnx.load_model_from_string(content))


def assert_same_templates(spec: EmbedderSpec, crops: Image) -> None:
    """What is run gives the publisher's templates to 1e-5, and these tell the crops apart."""
    as_published = replace(spec, rewritten=None, rewritten_sha256=None, centre=None)
    ours = OnnxEmbedder(replace(spec, centre=None), registry.read_verified(spec)).embed(crops)
    theirs = OnnxEmbedder(as_published, registry.read_verified(as_published)).embed(crops)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    assert ours[0] @ ours[2] < 0.999


def test_an_iresnet_is_rewritten_with_equal_templates(tmp_path: Path, crops: Image) -> None:
    content = iresnet()
    spec = added(tmp_path, content)
    assert kinds_in(content)["PRelu"] == 4
    assert kinds_in(registry.read_verified(spec))["PRelu"] == 0
    assert spec.path.read_bytes() == content
    assert spec.sha256 == sha(content) and spec.embedder_id.split(":")[1] == sha(content)[:16]
    assert_same_templates(spec, crops)


@needs_sface
def test_sface_is_rewritten_with_equal_templates(crops: Image) -> None:
    spec = add.add_model(SFACE, "whole")
    assert kinds_in(registry.read_verified(spec))["PRelu"] == 0
    assert_same_templates(spec, crops)


def test_a_network_without_prelu_runs_as_it_is(tmp_path: Path) -> None:
    spec = added(tmp_path, network())
    assert (spec.rewritten, spec.rewritten_sha256) == (None, None)
    assert registry.read_verified(spec) == network()


def test_a_network_that_rewriting_would_change_runs_as_it_is(tmp_path: Path) -> None:
    """With a slope of 1e7, what is left of 1e7 x - 1e7 x is rounding, where x was due."""
    model = onnx.load_model_from_string(iresnet(blocks=0))
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.name.startswith("PRelu"):
            tensor.CopyFrom(numpy_helper.from_array(np.full_like(values, 1e7), tensor.name))
        elif tensor.name == "BatchNormalization_1.1":  # a bias: what comes to PRelu is above 0
            tensor.CopyFrom(numpy_helper.from_array(values + 100, tensor.name))
    spec = added(tmp_path, model.SerializeToString())
    assert (spec.rewritten, spec.rewritten_sha256) == (None, None)


@pytest.mark.parametrize("which", ["path", "rewritten"])
def test_a_changed_file_of_either_kind_is_noticed_and_mended(tmp_path: Path, which: str) -> None:
    spec = added(tmp_path, iresnet())
    file: Path = getattr(spec, which)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelError, match=f"{file.name} is damaged"):
        registry.verify_files(spec)
    shown = CliRunner().invoke(app, ["verify", "mine"])
    assert "damaged" in shown.stdout
    added(tmp_path, iresnet())
    registry.verify_files(spec)
    assert file.read_bytes() == whole


def test_a_changed_rewritten_file_is_not_run(tmp_path: Path) -> None:
    spec = added(tmp_path, iresnet())
    assert spec.rewritten
    spec.rewritten.write_bytes(network())
    with pytest.raises(ModelError, match="not the model mine"):
        registry.read_verified(spec)
    spec.rewritten.unlink()
    with pytest.raises(ModelError, match="No such file"):
        registry.read_verified(spec)
