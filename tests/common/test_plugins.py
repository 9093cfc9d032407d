"""Classes by name: the built-in ones, those of an installed package, and none."""

from __future__ import annotations

from pathlib import Path

import pytest

from facecli.common import plugins
from facecli.common.errors import UsageError
from facecli.recognition.detector import YuNet
from facecli.recognition.embedder import OnnxEmbedder
from facecli.storage.search.flat import FlatIndex


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package on the path that offers an index, one of them broken."""
    (tmp_path / "reversed_index.py").write_text("class ReversedIndex:\n    pass\n")
    info = tmp_path / "reversed_index-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: reversed-index\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[facecli.indexes]\nreversed = reversed_index:ReversedIndex\n"
        "broken = no_such_module:Index\nempty = reversed_index:Missing\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


def test_the_built_in_ones() -> None:
    assert plugins.load("facecli.detectors", "yunet") is YuNet
    assert plugins.load("facecli.embedders", "onnx") is OnnxEmbedder
    assert plugins.load("facecli.indexes", "flat") is FlatIndex


def test_one_of_another_package(package: None) -> None:
    loaded = plugins.load("facecli.indexes", "reversed")
    assert (loaded.__module__, loaded.__name__) == ("reversed_index", "ReversedIndex")


def test_a_built_in_name_cannot_be_taken_over(tmp_path: Path, package: None) -> None:
    entry = tmp_path / "reversed_index-1.0.dist-info" / "entry_points.txt"
    entry.write_text("[facecli.indexes]\nflat = reversed_index:ReversedIndex\n")
    assert plugins.load("facecli.indexes", "flat") is FlatIndex


def test_an_unknown_name_lists_those_there_are(package: None) -> None:
    with pytest.raises(
        UsageError, match=r"none of the indexes is called 'annoy': use .*flat, reversed"
    ):
        plugins.load("facecli.indexes", "annoy")
    with pytest.raises(UsageError, match="detectors is called 'reversed': use opencv, yunet"):
        plugins.load("facecli.detectors", "reversed")


@pytest.mark.parametrize("name", ["broken", "empty"])
def test_one_that_does_not_load(name: str, package: None) -> None:
    with pytest.raises(UsageError, match=f"{name}.*does not load"):
        plugins.load("facecli.indexes", name)
