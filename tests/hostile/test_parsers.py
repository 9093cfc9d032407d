"""Every parser on made-up and on damaged text: an answer or a documented error, nothing else."""

from __future__ import annotations

import json
import random
import string
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.galleries import DIMENSION, EMBEDDER, new_store, reference

from facecli.common.enums import Reason
from facecli.common.errors import FacecliError, GalleryError, InputError, ModelError
from facecli.common.names import name_fault, name_key
from facecli.common.types import FailureToAcquire
from facecli.datasets.labels import LabelledPhotos, labelled
from facecli.datasets.pairs import Pairs, read_pairs
from facecli.metrics import reference_table
from facecli.recognition import images
from facecli.recognition.model_zoo import registry
from facecli.report.formats import printable
from facecli.storage import export as portable
from facecli.storage.sqlite.store import GalleryFile

T = TypeVar("T")
pytestmark = pytest.mark.filterwarnings("ignore::Warning:PIL")

quick = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CELLS = st.one_of(
    st.sampled_from(["a.jpg", "b.jpg", "Ada", "1", "0", "", "yes", "../a.jpg", "C:\\a.jpg", "."]),
    st.sampled_from(["file1", "file2", "same", "path", "subject", "fold", '"', "\0", "9" * 5000]),
    st.text(max_size=12),
)
BREAKS = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\x0b", "\u2028"])
MAGICS = [
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"P6 9 9 255 ",
]
CODES = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A table of any delimiter, line end and encoding, at times with bytes that are no text."""
    delimiter = draw(st.sampled_from([",", ";", "\t", "|", " ", ":"]))
    rows = draw(st.lists(st.lists(CELLS, max_size=5), max_size=6))
    text = draw(BREAKS).join(delimiter.join(row) for row in rows)
    data = text.encode(draw(CODES), "replace")
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\0"])) + data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jpg", "Ada/Ada_0001.jpg", "Ada/Ada_0002.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def answered(work: Callable[[], T], *errors: type[FacecliError]) -> T | None:
    """What `work` gives; None where it raises one of these errors, with a line that says why."""
    try:
        return work()
    except errors as error:
        assert len(str(error)) > 10
        return None


@quick
@given(st.one_of(tables(), st.binary(max_size=200)))
def test_pairs(folder: Path, data: bytes) -> None:
    for name in ("pairs.csv", "pairs.txt"):
        (folder / name).write_bytes(data)
        found = answered(lambda name=name: read_pairs(folder / name), InputError)
        assert found is None or (isinstance(found, Pairs) and len(found.pairs) > 0)


@quick
@given(
    st.lists(
        st.lists(
            st.one_of(st.sampled_from(["Ada", "1", "2", "0", "10", "٣", "²", "9" * 5000]), CELLS),
            max_size=5,
        ).map("\t".join),
        max_size=6,
    )
)
def test_lfw_s_pairs_txt(folder: Path, rows: list[str]) -> None:
    (folder / "pairs.txt").write_text("\n".join(["10", *rows]), encoding="utf-8", errors="replace")
    answered(lambda: read_pairs(folder / "pairs.txt"), InputError)


@quick
@given(st.one_of(tables(), st.binary(max_size=200)))
def test_people(folder: Path, data: bytes) -> None:
    (folder / "people.csv").write_bytes(data)
    found = answered(lambda: labelled([folder / "people.csv"]), InputError)
    assert found is None or isinstance(found, LabelledPhotos)
    assert all(name_fault(photo.subject) is None for photo in found.photos) if found else True


@given(st.text(max_size=40))
def test_a_name_that_passes_shows_on_one_line_as_it_is(name: str) -> None:
    if name_fault(name) is None:
        assert name_key(name)
        assert not {unicodedata.category(c) for c in name} & {"Cc", "Cs", "Zl", "Zp"}
        turns = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
        assert not {unicodedata.bidirectional(c) for c in printable(name)} & turns


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.floats(), st.text(max_size=8), st.integers(),
        st.sampled_from([10**400, 2**63, int("1" * 64), -1, "\ud800", "1e999", 1e308]),
    ),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip


@pytest.fixture(scope="module")
def table() -> dict[str, object]:
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    assert spec.table
    return json.loads(spec.table.read_text("utf-8"))


@quick
@given(st.data())
def test_a_reference_table(table: dict[str, object], data: st.DataObject) -> None:
    """What is no table is refused; what is one can be asked."""
    changed = dict(table) | {data.draw(st.sampled_from(sorted(table))): data.draw(json_values)}
    texts = [json.dumps(changed), data.draw(st.text()), "[" * data.draw(st.integers(0, 10**5))]
    for text in texts:
        read = answered(lambda text=text: reference_table.from_json(text), ModelError)
        assert read is None or -10 < read.threshold(0.01, 100) < 10


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    store = new_store(tmp_path_factory.mktemp("export") / "g")
    store.add([reference("Ada", 1), reference("Bob", 2)])
    portable.export(store.reader, store.path.with_name("out"))
    store.close()
    return store.path.with_name("out").read_bytes()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> GalleryFile:
    return new_store(tmp_path_factory.mktemp("target") / "g")


@quick
@given(st.data())
def test_an_export(target: GalleryFile, export: bytes, tmp_path: Path, data: st.DataObject) -> None:
    """Any value in any field, or any damage to the bytes: refused whole, or all of it sound."""
    before = target.reader.counts()
    lines = [json.loads(line) for line in export.splitlines()]
    if data.draw(st.booleans()):
        line = data.draw(st.sampled_from(lines))
        line[data.draw(st.sampled_from(sorted(line)))] = data.draw(json_values)
        content = "\n".join(map(json.dumps, lines)).encode()
    else:
        content = mutated(export, random.Random(data.draw(st.integers(0, 2**32))))
    (tmp_path / "x").write_bytes(content)
    added = answered(lambda: portable.import_(target, tmp_path / "x"), GalleryError)
    if added is None:
        assert target.reader.counts() == before
    assert target.reader.check() == []
    assert (target.reader.embedder_id, target.reader.dimension) == (EMBEDDER, DIMENSION)


FACTS = (
    *("file", "sha256", "input_size", "channel_order", "mean", "std", "dimension", "flip"),
    *("preprocessing", "licence", "commercial_use", "source", "card", "table", "centre"),
)
toml_values = st.one_of(
    st.text(string.printable, max_size=8).map(json.dumps),
    st.sampled_from(["1", "-1", "0", "nan", "inf", "true", "[]", "{}", "1979-05-27", "[[[1]]]"]),
    st.sampled_from(['"RGB"', '"../x"', '"/dev/zero"', '"\\u0000"', "1e400", "9" * 30, '""']),
)


@quick
@given(st.dictionaries(st.sampled_from(FACTS), toml_values, max_size=3), st.binary(max_size=30))
def test_a_model_s_description(tmp_path: Path, wrong: dict[str, str], junk: bytes) -> None:
    sound = dict.fromkeys(FACTS, '"x"') | {"channel_order": '"RGB"', "flip": "true"}
    sound |= {"mean": "127.5", "std": "128.0", "input_size": "112", "dimension": "192"}
    sound |= {"preprocessing": "1", "commercial_use": "false"}
    facts = "\n".join(f"{name} = {value}" for name, value in (sound | wrong).items())
    path = tmp_path / "model.toml"
    for content in (f"[embedder.x]\n{facts}\n".encode(), junk, b"embedder = " + b"[" * 9999):
        path.write_bytes(content)
        for spec in answered(lambda: registry.read_manifest(path), ModelError) or ():
            assert spec.embedder_id.startswith("x:")
            assert spec.std > 0 and spec.dimension > 0 and spec.input_size > 0
            with pytest.raises(ModelError):
                registry.read_verified(spec)


@given(st.sampled_from(MAGICS), st.binary(max_size=300), st.binary(max_size=8))
def test_a_photo_s_first_bytes(magic: bytes, rest: bytes, brand: bytes) -> None:
    isobmff = (8 + len(brand)).to_bytes(4, "big") + b"ftyp" + brand
    for data in (magic + rest, rest, isobmff + rest, b"RIFF" + brand[:4] + b"WEBP" + rest):
        decoded = images.decode(data, "a")
        if isinstance(decoded, FailureToAcquire):
            assert decoded.reason in (
                Reason.TRUNCATED, Reason.NOT_AN_IMAGE, Reason.TOO_LARGE, Reason.NEEDS_EXTRA,
                Reason.UNREADABLE,
            )  # fmt: skip
        else:
            assert decoded.ndim == 3


def mutated(data: bytes, draw: random.Random) -> bytes:
    """A few bytes changed, put in, taken out or said twice."""
    changed = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(changed) + 1)
        length = draw.choice((1, 2, 8, 100))
        changed[at : at + draw.choice((0, 1, length))] = draw.choice(
            (b"", draw.randbytes(1), bytes(changed[at : at + length]), b"\xff", b"\0", b"-1", b'"')
        )
    return bytes(changed)
