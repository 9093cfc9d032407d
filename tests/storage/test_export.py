"""Export and import: a round trip to the bit, and hostile files refused whole."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import numpy as np
import pytest
from support.galleries import new_store, reference, unit_vector

from facecli.common.errors import EmbedderMismatchError, GalleryError, OutputError, UsageError
from facecli.storage import export
from facecli.storage.sqlite.store import GalleryFile

NAMES = ("홍길동", "Nguyễn Văn Đức", 'O\'Neil, "Tip"', "A  B")


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The export of a gallery with four subjects of two references each."""
    store = new_store(tmp_path / "from.facecli")
    store.add([reference(name, 10 * i + j) for i, name in enumerate(NAMES) for j in (1, 2)])
    assert export.export(store.reader, tmp_path / "out.jsonl") == 8
    store.close()
    return tmp_path / "out.jsonl"


@pytest.fixture
def target(tmp_path: Path):
    store = new_store(tmp_path / "to.facecli")
    yield store
    store.close()


def contents(store: GalleryFile) -> list[tuple]:
    return [
        (r.subject, r.template.vector.tobytes(), r.face.box, r.face.landmarks.tobytes(),
         r.face.detection_score, r.face.quality, r.photo_sha256, r.face_index, r.path)
        for r in store.reader.references()
    ]  # fmt: skip


def test_a_round_trip_keeps_everything_to_the_bit(
    exported: Path, target: GalleryFile, tmp_path: Path
):
    source = GalleryFile.open(tmp_path / "from.facecli")
    assert export.import_(target, exported) == 8
    assert contents(target) == contents(source)
    assert [s.name for s in target.reader.subjects()] == [s.name for s in source.reader.subjects()]
    np.testing.assert_array_equal(
        target.reader.templates().templates, source.reader.templates().templates
    )
    assert target.reader.check() == []
    assert export.import_(target, exported) == 0  # a second time adds nothing
    assert target.reader.counts() == (4, 8)
    source.close()


def test_the_file_is_its_owner_s_and_lines_of_json(exported: Path):
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    header, *lines = [json.loads(line) for line in exported.read_text("utf-8").splitlines()]
    assert (header["format"], header["references"], len(lines)) == ("facecli-gallery", 8, 8)
    assert lines[0]["subject"] == "홍길동"
    vector = np.frombuffer(base64.b64decode(lines[0]["vector"]), "<f4")
    np.testing.assert_array_equal(vector, unit_vector(1))


def test_an_export_that_cannot_be_written_leaves_the_old_one(exported: Path, tmp_path: Path):
    source = GalleryFile.open(tmp_path / "from.facecli")
    (tmp_path / "folder").mkdir()
    before = exported.read_bytes()
    for place in (tmp_path / "no" / "such", exported / "below"):
        with pytest.raises(OutputError, match="cannot be written"):
            export.export(source.reader, place)
    with pytest.raises(UsageError, match="is a folder"):
        export.export(source.reader, tmp_path / "folder", force=True)
    with pytest.raises(UsageError, match="is there already"):
        export.export(source.reader, exported)
    assert exported.read_bytes() == before
    source.close()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def b64(*values: float) -> str:
    return base64.b64encode(np.array(values, "<f4").tobytes()).decode()


VECTOR = unit_vector(1)
HOSTILE = {
    "longer vector": ("vector", b64(*VECTOR * 1.01), "unit norm"),
    "NaN in the vector": ("vector", b64(*[float("nan")], *VECTOR[1:]), "finite"),
    "short vector": ("vector", b64(*VECTOR[:100]), "192 finite"),
    "odd bytes": ("vector", "AAA=", "line 4"),
    "not base64": ("vector", "!!!", "line 4"),
    "vector is a list": ("vector", [1.0] + [0.0] * 191, "line 4"),
    "landmarks": ("landmarks", b64(*range(8)), "5x2"),
    "control character": ("subject", "Ada\x1b[31m", "control character"),
    "line break": ("subject", "Ada\nBob", "control character"),
    "turned text": ("subject", "Ada\u202egnp", "control character"),
    "lone surrogate": ("subject", "Ada\udcff", "not UTF-8"),
    "no name": ("subject", "  ", "empty"),
    "the name unknown": ("subject", "unknown", "unknown"),
    "name is a number": ("subject", 7, "not text"),
    "path is a list": ("path", ["a"], "not text"),
    "sha256": ("photo_sha256", "zz", "sha256"),
    "path with a NUL": ("path", "a.jpg\0.exe", "NUL"),
    "NaN quality": ("quality", float("nan"), "quality is nan"),
    "quality above 1": ("quality", 1.5, "from 0 to 1"),
    "quality below 0": ("quality", -0.1, "from 0 to 1"),
    "quality is a bool": ("quality", True, "quality is True"),
    "quality is text": ("quality", "0.5", "quality is '0.5'"),
    "infinite score": ("detection_score", float("inf"), "detection score is inf"),
    "score above 1": ("detection_score", 2, "from 0 to 1"),
    "huge number": ("quality", 10**400, "line 4"),
    "short box": ("box", [1, 2, 3], "line 4"),
    "box is text": ("box", "1234", "the box"),
    "NaN box": ("box", [1, 2, 3, float("nan")], "box is nan"),
    "bools in a box": ("box", [False, False, True, True], "box is False"),
    "box turned round": ("box", [30, 2, 1, 40], "empty"),
    "box of no photo": ("box", [0, 0, 1e9, 40], "box is 1000000000"),
    "negative face": ("face", -1, "face"),
    "face beyond 64 bits": ("face", 2**70, "face"),
    "face is a bool": ("face", True, "face"),
}


def refused(
    target: GalleryFile, path: Path, says: str, error: type[Exception] = GalleryError
) -> None:
    target.add([reference("Already here", 99)])
    with pytest.raises(error, match=says) as caught:
        export.import_(target, path)
    assert "nothing was imported" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [s.name for s in target.reader.subjects()] == ["Already here"]
    assert target.reader.check() == []


@pytest.mark.parametrize("kind", HOSTILE)
def test_one_bad_line_refuses_the_whole_file(exported: Path, target: GalleryFile, kind: str):
    field, value, says = HOSTILE[kind]
    lines = exported.read_text("utf-8").splitlines()
    row = json.loads(lines[3])
    lines[3] = json.dumps({**row, field: value})
    exported.write_text("\n".join(lines) + "\n", "utf-8")
    refused(target, exported, says)


@pytest.mark.parametrize("field", ["subject", "vector", "box", "landmarks", "face", "path"])
def test_a_line_that_lacks_a_field_names_it(exported: Path, target: GalleryFile, field: str):
    lines = exported.read_text("utf-8").splitlines()
    row = json.loads(lines[3])
    del row[field]
    lines[3] = json.dumps(row)
    exported.write_text("\n".join(lines), "utf-8")
    refused(target, exported, f"line 4 has no '{field}'")


@pytest.mark.parametrize(("change", "says"), [
    (lambda text: text[: len(text) // 2], "line"),
    (lambda text: "\n".join(text.splitlines()[:5]) + "\n", "promises 8 references and holds 4"),
    (lambda text: text + text.splitlines()[1] + "\n", "promises 8 references and holds 9"),
    (lambda text: text.replace('"references": 8', '"refs": 8'), "promises None"),
    (lambda text: text.replace('"version": 1', '"version": 2'), "version is 2"),
    (lambda text: text.replace('"version": 1, ', ""), "version is None"),
    (lambda text: "", "not a gallery export"),
    (lambda text: "[]\n", "not a gallery export"),
    (lambda text: "path,subject\na.jpg,Ada\n", "not a gallery export"),
    (lambda text: text.splitlines()[0] + "\n" + "[" * 100_000 + "\n", "line 2"),
    (lambda text: text.splitlines()[0] + "\nnull\n", "line 2"),
    (lambda text: text.splitlines()[0] + '\n"text"\n', "line 2"),
])  # fmt: skip
def test_a_file_that_is_not_whole_is_refused(
    exported: Path, target: GalleryFile, change, says: str
):
    exported.write_text(change(exported.read_text("utf-8")), "utf-8")
    refused(target, exported, says)


def test_bytes_that_are_no_text_are_refused(exported: Path, target: GalleryFile):
    exported.write_bytes(exported.read_bytes() + b"\xff\xfe")
    refused(target, exported, "utf-8")


def test_another_embedder_s_export_is_refused(exported: Path, target: GalleryFile):
    exported.write_text(exported.read_text("utf-8").replace("made-up:", "another:", 1), "utf-8")
    refused(target, exported, "another:", EmbedderMismatchError)


def test_a_file_that_is_not_there_is_one_line(target: GalleryFile, tmp_path: Path):
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(GalleryError, match="cannot be read"):
            export.import_(target, path)
