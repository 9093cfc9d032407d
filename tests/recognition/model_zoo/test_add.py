"""Adding embedders from files."""

from __future__ import annotations

import json
import stat
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.networks import iresnet, network, sha
from support.places import CROPS, SFACE, needs_sface
from typer.testing import CliRunner

from facecli.cli.models import app
from facecli.common.errors import ModelError, UsageError
from facecli.recognition.embedder import OnnxEmbedder
from facecli.recognition.model_zoo import add, registry
from facecli.recognition.model_zoo.specs import ChannelOrder
from facecli.threshold.operating_point import built_in_table

CROP = CROPS["Grace Hopper"]
GIVEN = add.Preprocessing(ChannelOrder.RGB, mean=127.5, std=128.0, flip=True)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A facecli folder of this test's own, the network allowed, no proxy in between."""
    monkeypatch.setenv("FACECLI_HOME", str(tmp_path / "facecli"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("FACECLI_MODEL", "FACECLI_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "facecli"


def saved(folder: Path, content: bytes, name: str = "some.onnx") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def test_an_added_copy_of_the_default_gives_the_default_s_templates(tmp_path: Path) -> None:
    shipped = registry.find_embedder()
    file = saved(tmp_path, registry.read_verified(shipped), "renamed.onnx")
    added = add.add_model(file, given=GIVEN, licence="Apache-2.0")
    assert added == registry.find_embedder("renamed")
    assert (added.dimension, added.sha256, added.flip) == (192, shipped.sha256, True)
    swapped = add.add_model(file, "swapped", replace(GIVEN, channel_order=ChannelOrder.BGR))
    crop = cv2.imread(str(CROP))[np.newaxis]
    ours, theirs, other = (
        OnnxEmbedder(spec, registry.read_verified(spec)).embed(crop)[0]
        for spec in (added, shipped, swapped)
    )
    assert np.array_equal(ours, theirs)
    assert ours @ other < 0.999


@needs_sface
def test_the_file_that_a_shipped_model_was_made_of_is_that_model(
    tmp_path: Path, own_home: Path
) -> None:
    """Added by those who read so of an earlier version; under another name it is a model."""
    shipped = registry.find_embedder("sface")
    file = saved(tmp_path, SFACE.read_bytes(), "whatever.bin")
    assert add.add_model(file) == shipped
    assert not (own_home / "models").exists()
    whole = add.add_model(file, "whole")
    assert (whole.sha256, whole.dimension, whole.table) == (sha(SFACE.read_bytes()), 128,
                                                            shipped.table)  # fmt: skip
    assert (whole.centre, whole.odd, whole.commercial_use) == (shipped.centre, shipped.odd, True)
    assert whole.children == shipped.children
    assert built_in_table(whole) == built_in_table(shipped)
    crop = cv2.imread(str(CROP))[np.newaxis]
    vectors = [OnnxEmbedder(s, registry.read_verified(s)).embed(crop) for s in (whole, shipped)]
    assert float((vectors[0] * vectors[1]).sum()) > 0.9999
    plain = add.add_model(file, "plain", add.Preprocessing(flip=False))
    assert (plain.flip, plain.table, plain.centre) == (False, None, None)
    assert (plain.odd, plain.children) == (None, None)
    with pytest.raises(ModelError, match="sface comes with facecli"):
        add.add_model(file, given=add.Preprocessing(flip=False))


def test_added_files_are_for_their_owner_alone(tmp_path: Path, own_home: Path) -> None:
    spec = add.add_model(saved(tmp_path, network()), "mine", GIVEN)
    folder = own_home / "models" / "mine"
    assert sorted(path.name for path in folder.iterdir()) == ["model.onnx", "model.toml"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert {stat.S_IMODE(p.stat().st_mode) for p in (folder, *folder.parents[:2])} == {0o700}
    assert registry.read_verified(spec) == network()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (np.random.default_rng(1).bytes(5000), "no ONNX network, or a damaged one"),
        (b"", "an empty file"),
        (network(side=64), r"its input is tensor\(float\) \['N', 3, 64, 64\]"),
        (network(inputs=2), "2 inputs"),
        (network(kernel=56), r"shape \(1, 12\)"),
        (network(flat=False), r"shape \(1, 3, 4, 4\)"),
        (network(bad=True), "not finite"),
    ],
    ids=["random bytes", "empty", "64x64", "two inputs", "12-d", "four axes", "NaN"],
)
def test_what_is_no_embedder_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        add.add_model(saved(tmp_path, content), "mine", GIVEN)
    with pytest.raises(ModelError, match=why):  # before it is asked what to feed it
        add.add_model(saved(tmp_path, content), "mine")
    assert registry.embedders() == registry.shipped_embedders()


def test_an_unknown_file_needs_all_of_its_preprocessing(tmp_path: Path) -> None:
    file = saved(tmp_path, network())
    with pytest.raises(UsageError, match="--channel-order, --mean, --std"):
        add.add_model(file, given=add.Preprocessing(ChannelOrder.RGB, 127.5, 128.0))
    for mean, std in ((127.5, 0.0), (float("nan"), 1.0), (0.0, float("inf"))):
        with pytest.raises(UsageError, match="finite"):
            add.add_model(file, given=add.Preprocessing(ChannelOrder.RGB, mean, std, True))


def test_a_name_is_never_given_to_another_model(tmp_path: Path) -> None:
    first, second = network(), network(kernel=14)
    mine = add.add_model(saved(tmp_path, first), "mine", GIVEN)
    assert add.add_model(saved(tmp_path, first), "mine", GIVEN) == mine
    with pytest.raises(ModelError, match="Another model"):
        add.add_model(saved(tmp_path, second), "mine", GIVEN)
    with pytest.raises(ModelError, match="other preprocessing"):
        add.add_model(saved(tmp_path, first), "mine", replace(GIVEN, mean=0.0))
    with pytest.raises(ModelError, match="comes with facecli"):
        add.add_model(saved(tmp_path, first), "MobileFaceNet-ArcFace", GIVEN)
    for name in ("../up", "a/b", "a:b", ".hidden", "", "x" * 65):
        with pytest.raises(ModelError, match="cannot be a model's name"):
            add.add_model(saved(tmp_path, first, "ü.onnx"), name, GIVEN)
    assert registry.read_verified(mine) == first


def test_adding_again_mends_a_damaged_copy(tmp_path: Path) -> None:
    spec = add.add_model(saved(tmp_path, network()), "mine", GIVEN)
    spec.path.write_bytes(b"damaged")
    add.add_model(saved(tmp_path, network()), "mine", GIVEN)
    assert registry.read_verified(spec) == network()


def test_odd_licence_texts_survive_the_description(tmp_path: Path) -> None:
    text = 'Quoted "MIT"\\, \n다른 \x7f 🙂'
    add.add_model(saved(tmp_path, network()), "mine", GIVEN, licence=text)
    assert registry.find_embedder("mine").licence == 'Quoted "MIT"\\,  다른   🙂'


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        add.add_model(tmp_path / "nowhere.onnx", given=GIVEN)


def test_the_add_command_adds(tmp_path: Path) -> None:
    file = str(saved(tmp_path, network()))
    options = ["--channel-order", "rgb", "--mean", "127.5", "--std", "128", "--flip", "--json"]
    result = CliRunner().invoke(app, ["add", file, "--name", "mine", *options])
    assert result.exit_code == 0, result.output
    spec = registry.find_embedder("mine")
    assert json.loads(result.stdout)["embedder_id"] == spec.embedder_id
    assert (spec.channel_order, spec.mean, spec.std, spec.flip) == ("RGB", 127.5, 128.0, True)


@pytest.fixture
def without_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if only what facecli requires were installed."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "facecli.recognition.model_zoo.optimise", raising=False)


def test_without_onnx_a_network_is_added_as_it_is_and_gives_the_same(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file = saved(tmp_path, iresnet())
    faster = add.add_model(file, "faster", GIVEN)
    request.getfixturevalue("without_onnx")
    plain = add.add_model(file, "plain", GIVEN)
    assert faster.rewritten is not None and plain.rewritten is None
    assert add.may_be_faster(plain) and not add.may_be_faster(faster)
    assert faster.embedder_id.split(":")[1:] == plain.embedder_id.split(":")[1:]
    crop = cv2.imread(str(CROP))[np.newaxis]
    one, other = (OnnxEmbedder(s, registry.read_verified(s)).embed(crop) for s in (faster, plain))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_without_onnx_the_command_says_what_it_would_bring(
    tmp_path: Path, without_onnx: None
) -> None:
    words = ["--channel-order", "RGB", "--mean", "127.5", "--std", "128", "--flip"]
    slow = CliRunner().invoke(app, ["add", str(saved(tmp_path, iresnet())), *words])
    assert slow.exit_code == 0 and "pip install 'facecli[models]'" in slow.stderr
    plain = CliRunner().invoke(app, ["add", str(saved(tmp_path, network(), "b.onnx")), *words])
    assert plain.exit_code == 0 and plain.stderr == ""


def test_without_onnx_what_might_lie_in_another_file_is_refused(
    tmp_path: Path, without_onnx: None
) -> None:
    file = saved(tmp_path, network() + b"location")
    with pytest.raises(ModelError, match=r"facecli\[models\]"):
        add.add_model(file, given=GIVEN)
