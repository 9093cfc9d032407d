"""Adding a network with PRelu: what runs is rewritten, what it is called by is the publisher's."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.networks import iresnet, network, sha
from support.places import CROPS, SFACE, needs_sface
from typer.testing import CliRunner

from facecli.cli.models import app
from facecli.common.errors import ModelError
from facecli.common.types import Image
from facecli.recognition.embedder import OnnxEmbedder
from facecli.recognition.model_zoo import add, registry
from facecli.recognition.model_zoo.registry import ChannelOrder, EmbedderSpec

CROP = CROPS["Grace Hopper"]
GIVEN = add.Preprocessing(ChannelOrder.RGB, mean=127.5, std=128.0, flip=True)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACECLI_HOME", str(tmp_path / "facecli"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def crops() -> Image:
    face = cv2.imread(str(CROP))
    return np.stack([face, face[:, ::-1], face // 3])


def added(folder: Path, content: bytes) -> EmbedderSpec:
    (folder / "some.onnx").write_bytes(content)
    return add.add(folder / "some.onnx", "mine", GIVEN)


def kinds(content: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_model_from_string(content).graph.node)


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
    assert kinds(content)["PRelu"] == 4
    assert kinds(registry.read_verified(spec))["PRelu"] == 0
    assert spec.path.read_bytes() == content
    assert spec.sha256 == sha(content) and spec.embedder_id.split(":")[1] == sha(content)[:16]
    assert_same_templates(spec, crops)


@pytest.mark.slow
@needs_sface
def test_sface_is_rewritten_with_equal_templates(crops: Image) -> None:
    spec = add.add(SFACE)
    assert kinds(registry.read_verified(spec))["PRelu"] == 0
    assert spec.embedder_id == registry.find_known("sface").spec.embedder_id
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
        registry.verify(spec)
    shown = CliRunner().invoke(app, ["verify", "mine"])
    assert "damaged" in shown.stdout
    added(tmp_path, iresnet())
    registry.verify(spec)
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
