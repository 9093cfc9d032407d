"""ONNX files that are none, and installed ones that were exchanged: exit code 5, nothing used."""

from __future__ import annotations

import io
import os
import random
import stat
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.networks import network, sha
from support.sandbox import Facecli

from facecli.common.errors import ModelError
from facecli.recognition.model_zoo.pull import unzipped
from facecli.recognition.model_zoo.whole import require_whole

GIVEN = ("--channel-order", "RGB", "--mean", "127.5", "--std", "128", "--no-flip")


def grown(size: int) -> bytes:
    """A network that asks for `size` numbers while it runs."""
    shape = numpy_helper.from_array(np.array([size], np.int64), "shape")
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["many"]),
        helper.make_node("ReduceSum", ["many"], ["sum"]),
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Add", ["flat", "sum"], ["out"]),
    ]
    return model(nodes, [shape])


def outside(location: str) -> bytes:
    """A network whose weights lie in another file."""
    tensor = onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": "0", "length": "4"}
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Add", ["flat", "w"], ["out"]),
    ]
    return model(nodes, [tensor])


def model(nodes: list, constants: list) -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 112, 112])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [out], initializer=constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(made.SerializeToString())


SOUND = network()
FILES = {
    "empty": b"",
    "random bytes": random.Random(0).randbytes(100_000),
    "zeros": bytes(100_000),
    "text": b"not a network",
    "a pickle": b"\x80\x04cposix\nsystem\n\x85R.",
    "half": SOUND[: len(SOUND) // 2],
    "the end lost": SOUND[:-5],
    "another input": network(side=64, kernel=16),
    "two inputs": network(inputs=2),
    "a picture for output": network(flat=False),
    "too short a template": network(kernel=112),
    "NaN": network(bad=True),
    "memory without end": grown(10**12),
    "weights elsewhere": outside("weights.bin"),
    "weights above": outside("../../../../etc/passwd"),
}


@pytest.mark.parametrize("kind", FILES)
def test_no_embedder_is_refused_and_not_installed(
    facecli: Facecli, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "m.onnx").write_bytes(FILES[kind])
    (tmp_path / "weights.bin").write_bytes(bytes(4))
    said = facecli.refused(
        5, "models", "add", tmp_path / "m.onnx", *GIVEN, "--name", "x", cwd=tmp_path
    )
    assert len(said) < 1000
    assert "x" not in facecli("models", "list").out.split()


def test_a_network_with_bytes_turned_over(facecli: Facecli, tmp_path: Path) -> None:
    """It may still be a network; then it is one that runs."""
    draw = random.Random(0)
    for number in range(12):
        wrong = bytearray(SOUND)
        wrong[draw.randrange(len(wrong))] ^= 1 << draw.randrange(8)
        (tmp_path / "m.onnx").write_bytes(wrong)
        done = facecli("models", "add", tmp_path / "m.onnx", *GIVEN, "--name", f"flip{number}")
        assert done.code in (0, 5)


def test_a_model_file_that_never_ends(facecli: Facecli, tmp_path: Path) -> None:
    (tmp_path / "zero").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "fifo")
    for name in ("zero", "fifo", "none", ""):
        facecli.refused(5, "models", "add", tmp_path / name, *GIVEN, "--name", "x")


def exchanged(model: Path, kind: str) -> None:
    """Put something else where an installed model lies."""
    model.unlink()
    if kind == "zero":
        model.symlink_to("/dev/zero")
    elif kind == "fifo":
        os.mkfifo(model)
    elif kind != "gone":
        model.write_bytes(FILES[kind])


@pytest.mark.parametrize("kind", ["random bytes", "half", "NaN", "zero", "fifo", "gone"])
def test_an_installed_file_that_was_exchanged_is_not_loaded(
    facecli: Facecli, good: Path, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "m.onnx").write_bytes(SOUND)
    name = kind.replace(" ", "-")
    assert facecli("models", "add", tmp_path / "m.onnx", *GIVEN, "--name", name).code == 0
    enroll = ("enroll", good, "-s", "Grace", "-g", tmp_path / "g", "--model", name)
    assert facecli(*enroll).code == 0
    exchanged(facecli.home / "models" / name / "model.onnx", kind)
    facecli.refused(5, "identify", good, "-g", tmp_path / "g", "--threshold", "0.5")
    facecli.refused(5, *enroll[:3], "Ada", *enroll[4:])
    assert facecli("models", "verify", name).code == 5
    assert facecli("gallery", "list", "-g", tmp_path / "g").code == 0


def zipped(name: str, mode: int = 0o100600, content: bytes = b"x") -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


@pytest.mark.parametrize(
    "info",
    [
        zipped("../model.onnx"), zipped("a/../../model.onnx"), zipped("/model.onnx"),
        zipped("C:\\model.onnx"), zipped("..\\model.onnx"), zipped("\\\\host\\model.onnx"),
        zipped("link", stat.S_IFLNK | 0o777),
    ],
    ids=lambda info: info.filename,
)  # fmt: skip
def test_links_and_ways_out_of_an_archive_are_refused(
    tmp_path: Path, info: zipfile.ZipInfo
) -> None:
    """One such entry, and even the sound ones are not used."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as pack:
        pack.writestr("sound/model.onnx", b"network")
        pack.writestr(info, b"/etc/passwd")
    (tmp_path / "a.zip").write_bytes(stream.getvalue())
    with pytest.raises(ModelError, match="unsafe"):
        unzipped(tmp_path / "a.zip", "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


# weights in other files -----------------------------------------------------------------------


def spread(folder: Path, seed: int) -> tuple[Path, bytes]:
    """A real network as `onnx.save` writes it in two files, and its weights; in `folder`."""
    draw = np.random.default_rng(seed).normal(size=(64, 3, 112, 112)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Flatten", ["c"], ["out"]),
    ]
    whole = onnx.load_model_from_string(model(nodes, [numpy_helper.from_array(draw, "w")]))
    folder.mkdir()
    onnx.save(whole, folder / "m.onnx", save_as_external_data=True, location="m.bin")
    return folder / "m.onnx", (folder / "m.bin").read_bytes()


def test_weights_in_another_file_are_refused_wherever_one_stands(
    facecli: Facecli, tmp_path: Path
) -> None:
    file, weights = spread(tmp_path / "made", 1)
    (tmp_path / "attack").mkdir()
    (tmp_path / "attack" / "m.bin").write_bytes(weights[::-1])
    for place in (file.parent, tmp_path / "attack", tmp_path):
        said = facecli.refused(5, "models", "add", file, *GIVEN, "--name", "x", cwd=place)
        assert "lie in another file" in said and said.count("\n") == 1
    whole = onnx.load(file)
    onnx.save(whole, tmp_path / "whole.onnx")
    assert facecli("models", "add", tmp_path / "whole.onnx", *GIVEN, "--name", "one").code == 0


def test_a_model_of_an_older_facecli_with_weights_elsewhere_is_not_loaded(
    facecli: Facecli, good: Path, tmp_path: Path
) -> None:
    """Nor from the cache, nor called whole by `models verify`."""
    file, weights = spread(tmp_path / "made", 2)
    onnx.save(onnx.load(file), tmp_path / "whole.onnx")
    assert facecli("models", "add", tmp_path / "whole.onnx", *GIVEN, "--name", "old").code == 0
    enroll = ("enroll", good, "-s", "Grace", "-g", tmp_path / "g", "--model", "old")
    assert facecli(*enroll).code == 0
    folder = facecli.home / "models" / "old"
    (folder / "model.onnx").write_bytes(file.read_bytes())
    described = (folder / "model.toml").read_text()
    old, new = sha((tmp_path / "whole.onnx").read_bytes()), sha(file.read_bytes())
    assert old in described
    (folder / "model.toml").write_text(described.replace(old, new))
    (tmp_path / "attack").mkdir()
    (tmp_path / "attack" / "m.bin").write_bytes(weights[::-1])
    for place in (file.parent, tmp_path / "attack"):
        for words in (
            ("verify", good, good, "--model", "old", "--threshold", "0.5"),
            ("enroll", good, "-s", "Grace", "-g", tmp_path / "h", "--model", "old"),
        ):
            said = facecli.refused(5, *words, cwd=place)
            assert "lie in another file" in said
        checked = facecli("models", "verify", "old", cwd=place)
        assert checked.code == 5 and "damaged" in checked.out


def elsewhere(name: str = "w") -> onnx.TensorProto:
    tensor = onnx.TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")
    return tensor


def hidden(where: str) -> onnx.ModelProto:
    """A model with such a tensor at an odd place."""
    made = onnx.load_model_from_string(SOUND)
    node, graph = onnx.NodeProto(op_type="Constant"), onnx.GraphProto(name="inner")
    if where == "constant":
        node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(elsewhere())
    elif where == "constants":
        node.attribute.add(name="v", type=onnx.AttributeProto.TENSORS).tensors.append(elsewhere())
    elif where == "sparse constant":
        sparse = node.attribute.add(name="v", type=onnx.AttributeProto.SPARSE_TENSOR).sparse_tensor
        sparse.values.CopyFrom(elsewhere())
    elif where == "subgraph":
        graph.initializer.append(elsewhere())
        node.attribute.add(name="then", type=onnx.AttributeProto.GRAPH).g.CopyFrom(graph)
    elif where == "subgraph of subgraphs":
        graph.initializer.append(elsewhere())
        outer = onnx.GraphProto(name="outer")
        outer.node.add(op_type="If").attribute.add(name="b").graphs.append(graph)
        node.attribute.add(name="then", type=onnx.AttributeProto.GRAPH).g.CopyFrom(outer)
    elif where == "sparse initializer":
        made.graph.sparse_initializer.add().indices.CopyFrom(elsewhere())
    elif where == "function":
        inner = made.functions.add(name="f").node.add(op_type="Constant")
        inner.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(elsewhere())
    elif where == "training":
        made.training_info.add().algorithm.initializer.append(elsewhere())
    if node.attribute:
        made.graph.node.append(node)
    return made


HIDDEN = ["constant", "constants", "sparse constant", "subgraph", "subgraph of subgraphs",
          "sparse initializer", "function", "training"]  # fmt: skip


@pytest.mark.parametrize("where", HIDDEN)
def test_another_file_is_found_wherever_it_is_named(where: str) -> None:
    made = hidden(where)
    with pytest.raises(ModelError, match="lie in another file"):
        require_whole(made.SerializeToString())


def test_a_key_written_in_an_odd_way_is_found() -> None:
    """A length in two bytes where one would do, as no library writes it."""
    plain = outside("w.bin")
    assert plain.count(b"\x0a\x08location") == 1
    with pytest.raises(ModelError):
        require_whole(plain.replace(b"\x0a\x08location", b"\x0a\x88\x00location"))


def test_a_name_that_only_looks_like_it_is_taken() -> None:
    made = onnx.load_model_from_string(SOUND)
    made.graph.node[0].name = "allocation"
    made.metadata_props.add(key="location", value="here")
    require_whole(made.SerializeToString())
    require_whole(SOUND)


def test_the_sound_network_is_taken(facecli: Facecli, tmp_path: Path) -> None:
    """The refusals above are of what was wrong."""
    (tmp_path / "m.onnx").write_bytes(SOUND)
    assert facecli("models", "add", tmp_path / "m.onnx", *GIVEN, "--name", "sound").code == 0
