"""The shipped weights are what their manifest and cards say, and compute what the source does."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from support.places import CROPS, DATA, LFW, MOBILEFACENET_TFLITE, ROOT, SFACE, needs_sface

from facecli.recognition.model_zoo.optimise import rewrite_prelu

MODELS = ROOT / "models"
TOOL = ROOT / "models" / "make" / "convert_mobilefacenet.py"
SOURCE = MOBILEFACENET_TFLITE
# The ArcFace template (insightface's face_align.py): eyes, nose tip, mouth corners, px of 112x112.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
     [70.7299, 92.2041]]
)  # fmt: skip
UNIT_TOLERANCE = 1e-4  # on unit vectors; 7e-7 was seen
RAW_TOLERANCE = 1e-3  # on raw embeddings, whose values reach 33; 4e-5 was seen

Float32 = NDArray[np.float32]
Embed = Callable[[Float32], Float32]

needs_source = pytest.mark.skipif(
    not SOURCE.is_file(), reason=f"NOT CHECKED AGAINST TFLITE: {SOURCE} is not there"
)


def pixels(crops: list[NDArray[np.uint8]]) -> Float32:
    """BGR crops -> RGB (N, 3, 112, 112) in about [-1, 1]."""
    rgb = np.stack(crops)[..., ::-1].transpose(0, 3, 1, 2)
    return np.ascontiguousarray((rgb.astype(np.float32) - 127.5) / 128)


def unit(vectors: Float32) -> Float32:
    """Each row divided by its length."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def assert_same_embeddings(got: Float32, expected: Float32) -> None:
    """Equal within the tolerances, raw and as unit vectors."""
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=RAW_TOLERANCE)
    np.testing.assert_allclose(unit(got), unit(expected), rtol=0, atol=UNIT_TOLERANCE)


def onnx_embedder(model: Path | bytes) -> Embed:
    """(N, 3, 112, 112) -> (N, d) with onnxruntime on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(["embedding"], {"input": batch})[0]


def cut_face(photo: Path) -> NDArray[np.uint8]:
    """The first face that YuNet finds, moved onto the template by least squares."""
    image = cv2.imread(str(photo))
    height, width = image.shape[:2]
    weights = str(MODELS / "yunet.onnx")
    _, faces = cv2.FaceDetectorYN.create(weights, "", (width, height)).detect(image)
    x, y = faces[0, 4:14].reshape(5, 2).astype(float).T
    one, zero = np.ones(5), np.zeros(5)
    equations = np.r_[np.c_[x, -y, one, zero], np.c_[y, x, zero, one]]
    (a, b, right, down), *_ = np.linalg.lstsq(equations, TEMPLATE.T.ravel(), rcond=None)
    return cv2.warpAffine(image, np.array([[a, -b, right], [b, a, down]]), (112, 112))


@pytest.fixture(scope="module")
def shipped() -> Embed:
    return onnx_embedder(MODELS / "mobilefacenet_arcface.onnx")


@pytest.fixture(scope="module")
def crops() -> Float32:
    return pixels([cv2.imread(str(crop)) for crop in CROPS.values()])


@pytest.fixture(scope="module")
def golden() -> Float32:
    return np.load(DATA / "mobilefacenet_arcface_golden.npy", allow_pickle=False)


@pytest.fixture(scope="module")
def tflite_embedder() -> Embed:
    """The same through the TFLite interpreter, whose batch is fixed at 2."""
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="needs the `dev` extra")
    interpreter = litert.Interpreter(str(SOURCE))
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def embed_one(image: Float32) -> Float32:
        pair = np.stack([image, image]).transpose(0, 2, 3, 1)
        interpreter.set_tensor(source["index"], np.ascontiguousarray(pair))
        interpreter.invoke()
        return interpreter.get_tensor(target["index"])[0]

    return lambda batch: np.stack([embed_one(image) for image in batch])


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    pytest.importorskip("tflite", reason="needs the `convert` extra")
    spec = importlib.util.spec_from_file_location("convert_mobilefacenet", TOOL)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # slotted dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def run_tool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def manifest_sections() -> list[tuple[str, dict[str, object]]]:
    manifest = tomllib.loads((MODELS / "manifest.toml").read_text(encoding="utf-8"))
    return [(name, facts) for kind in manifest.values() for name, facts in kind.items()]


# --- everywhere ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "facts"), manifest_sections())
def test_shipped_files_are_those_of_the_manifest(name: str, facts: dict[str, object]) -> None:
    data = (MODELS / str(facts["file"])).read_bytes()
    assert hashlib.sha256(data).hexdigest() == facts["sha256"], name
    card = (MODELS / str(facts["card"])).read_text(encoding="utf-8")
    assert str(facts["sha256"]) in card, f"the card of {name} names other weights"


def test_shipped_model_equals_the_tflite_golden(
    shipped: Embed, crops: Float32, golden: Float32
) -> None:
    assert_same_embeddings(shipped(crops), golden)


def test_golden_tells_the_channel_order(shipped: Embed, crops: Float32, golden: Float32) -> None:
    swapped = unit(shipped(np.ascontiguousarray(crops[:, ::-1])))
    assert np.abs(swapped - unit(golden)).max() > 100 * UNIT_TOLERANCE


@pytest.mark.parametrize("size", [1, 2, 5])
def test_any_batch_gives_each_crop_its_own_embedding(
    shipped: Embed, crops: Float32, golden: Float32, size: int
) -> None:
    order = np.arange(size) % 2
    assert_same_embeddings(shipped(crops[order]), golden[order])


def test_two_people_are_told_apart(golden: Float32) -> None:
    hopper, collins = unit(golden)
    assert hopper @ collins < 0.4


def test_graph_is_what_the_card_says() -> None:
    model = onnx.load(MODELS / "mobilefacenet_arcface.onnx")
    onnx.checker.check_model(model, full_check=True)
    (image,), (embedding,) = model.graph.input, model.graph.output
    image_shape = [d.dim_param or d.dim_value for d in image.type.tensor_type.shape.dim]
    embedding_shape = [d.dim_param or d.dim_value for d in embedding.type.tensor_type.shape.dim]
    assert (image.name, image_shape) == ("input", ["N", 3, 112, 112])
    assert (embedding.name, embedding_shape) == ("embedding", ["N", 192])
    assert {node.op_type for node in model.graph.node} == {"Conv", "Relu", "Add", "Flatten"}


@pytest.mark.parametrize("who", CROPS)
def test_crops_come_from_the_photos(who: str, portraits: dict[str, Path]) -> None:
    again = cut_face(portraits[who])
    difference = cv2.absdiff(again, cv2.imread(str(CROPS[who])))
    assert difference.mean() < 1  # decoders may round differently


# --- SFace, as float16 --------------------------------------------------------------------------


def halved(crops: list[NDArray[np.uint8]]) -> Float32:
    """What the shipped SFace makes of BGR crops, raw."""
    rgb = np.stack(crops)[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)
    session = onnxruntime.InferenceSession(
        MODELS / "sface.onnx", providers=["CPUExecutionProvider"]
    )
    return session.run(["fc1"], {"data": np.ascontiguousarray(rgb)})[0]


def test_the_shipped_sface_equals_the_published_one() -> None:
    golden = np.load(DATA / "sface_golden.npy", allow_pickle=False)
    found = halved([cv2.imread(str(crop)) for crop in CROPS.values()])
    cosines = (unit(found) * unit(golden)).sum(axis=1)
    assert cosines.min() > 0.9999, "half precision costs more than it may"
    assert (unit(found[::-1]) * unit(golden)).sum(axis=1).max() < 0.5, "this would pass any two"


def test_the_graph_of_sface_is_what_the_card_says() -> None:
    model = onnx.load(MODELS / "sface.onnx")
    onnx.checker.check_model(model, full_check=True)
    (image,), (embedding,) = model.graph.input, model.graph.output
    shapes = [
        [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (image, embedding)
    ]
    assert shapes == [["N", 3, 112, 112], ["N", 128]]
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("Cast") == 35 and not {"PRelu", "Dropout"} & set(kinds)
    sizes = {t.data_type: 0 for t in model.graph.initializer}
    for tensor in model.graph.initializer:
        sizes[tensor.data_type] += int(np.prod(tensor.dims))
    assert sizes[onnx.TensorProto.FLOAT16] > 100 * sizes[onnx.TensorProto.FLOAT]


def convert_sface(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL.with_name("convert_sface.py")), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@needs_sface
def test_its_conversion_gives_the_shipped_bytes(tmp_path: Path) -> None:
    done = convert_sface(SFACE, tmp_path / "again.onnx")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again.onnx").read_bytes() == (MODELS / "sface.onnx").read_bytes()
    facts = dict(manifest_sections())["sface"]
    assert facts["published_sha256"] == hashlib.sha256(SFACE.read_bytes()).hexdigest()


def test_its_converter_refuses_other_networks(tmp_path: Path) -> None:
    other = convert_sface(MODELS / "mobilefacenet_arcface.onnx", tmp_path / "out.onnx")
    missing = convert_sface(tmp_path / "nowhere.onnx", tmp_path / "out.onnx")
    assert (other.returncode, missing.returncode) == (5, 3)
    assert "this is not SFace" in other.stderr and "nowhere.onnx" in missing.stderr
    assert not (tmp_path / "out.onnx").exists()


# --- the converter ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "expected"),
    [
        (112, 3, 2, 1, (0, 1)),  # an even axis at stride 2: the one pixel goes after it
        (113, 3, 2, 1, (1, 1)),
        (112, 3, 1, 1, (1, 1)),
        (14, 1, 1, 1, (0, 0)),
        (14, 1, 2, 1, (0, 0)),  # never negative
        (10, 3, 1, 2, (2, 2)),
    ],
)
def test_same_padding_is_tensorflows(
    tool: ModuleType, size: int, kernel: int, stride: int, dilation: int, expected: tuple[int, int]
) -> None:
    same, valid = 0, 1  # tflite.Padding
    assert tool.pads(size, kernel, stride, dilation, same) == expected
    assert tool.pads(size, kernel, stride, dilation, valid) == (0, 0)


def test_converter_refuses_what_it_cannot_read(tmp_path: Path, tool: ModuleType) -> None:
    not_a_model = tmp_path / "photo.tflite"
    not_a_model.write_bytes(b"\x89PNG\r\n\x1a\n" * 4)
    damaged = run_tool(not_a_model, tmp_path / "out.onnx")
    missing = run_tool(tmp_path / "nowhere.tflite", tmp_path / "out.onnx")
    assert (damaged.returncode, missing.returncode) == (5, 3)
    assert "not a TFLite file" in damaged.stderr
    assert "nowhere.tflite" in missing.stderr
    assert not (tmp_path / "out.onnx").exists()


@needs_source
def test_conversion_gives_the_shipped_bytes(tmp_path: Path, tool: ModuleType) -> None:
    done = run_tool(SOURCE, tmp_path / "again.onnx")
    assert done.returncode == 0, done.stderr
    shipped = (MODELS / "mobilefacenet_arcface.onnx").read_bytes()
    assert (tmp_path / "again.onnx").read_bytes() == shipped
    assert hashlib.sha256(shipped).hexdigest() in done.stdout


@needs_source
def test_prelu_is_put_back_together(tool: ModuleType, crops: Float32, golden: Float32) -> None:
    plain = tool.convert(SOURCE.read_bytes())
    kinds = [node.op_type for node in plain.graph.node]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "Conv": 52, "PRelu": 33, "Add": 12, "Flatten": 1,
    }  # fmt: skip
    slopes = {node.input[1] for node in plain.graph.node if node.op_type == "PRelu"}
    shapes = [list(t.dims) for t in plain.graph.initializer if t.name in slopes]
    assert len(shapes) == 33
    assert all(len(shape) == 3 and shape[1:] == [1, 1] for shape in shapes)
    assert_same_embeddings(onnx_embedder(plain.SerializeToString())(crops), golden)
    assert_same_embeddings(onnx_embedder(rewrite_prelu(plain).SerializeToString())(crops), golden)


@needs_source
def test_golden_is_the_tflite_interpreters(
    tflite_embedder: Embed, crops: Float32, golden: Float32
) -> None:
    assert_same_embeddings(tflite_embedder(crops), golden)


@needs_source
@pytest.mark.parametrize("size", [1, 2, 5])
def test_shipped_model_equals_tflite_on_lfw(
    shipped: Embed, tflite_embedder: Embed, size: int
) -> None:
    photos = sorted((LFW / "photos").rglob("*.jpg"))[: 10 * size : 10]
    if not photos:
        pytest.skip(f"NOT CHECKED ON LFW: {LFW} is not there")
    centres = [cv2.imread(str(photo))[69:181, 69:181] for photo in photos]
    batch = pixels(centres)
    assert_same_embeddings(shipped(batch), tflite_embedder(batch))
