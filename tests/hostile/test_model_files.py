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
from support.networks import network
from support.sandbox import Facecli

from facecli.common.errors import ModelError
from facecli.recognition.model_zoo.pull import unzipped

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


def test_the_sound_network_is_taken(facecli: Facecli, tmp_path: Path) -> None:
    """The refusals above are of what was wrong."""
    (tmp_path / "m.onnx").write_bytes(SOUND)
    assert facecli("models", "add", tmp_path / "m.onnx", *GIVEN, "--name", "sound").code == 0
