"""What comes out is an embedder like any other: its file, its table, its card, its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="NOT CHECKED: pip install 'facecli[train]'")
pytest.importorskip("onnx2torch", reason="NOT CHECKED: pip install 'facecli[train]'")

import torch
from support.galleries import unit_vector
from support.made_up_people import made_up_crops, spec_of
from support.networks import iresnet

from facecli.common.enums import Device, Part
from facecli.common.errors import ModelError, UsageError
from facecli.recognition.embedder import OnnxEmbedder
from facecli.recognition.model_zoo import registry
from facecli.recognition.model_zoo.specs import EmbedderSpec
from facecli.threshold import operating_point
from facecli.training import export
from facecli.training.crops import Crops
from facecli.training.network import Divided, divide

pytestmark = pytest.mark.training


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACECLI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def crops() -> Crops:
    return made_up_crops(people=4, each=3)


Made = tuple[Divided, EmbedderSpec]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A network whose trained part is not the base's any more."""
    content = iresnet()
    spec = spec_of(tmp_path / "base.onnx", content)
    divided = divide(content, Part.LAST)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in divided.module.parameters():
            parameter.mul_(1 + 0.1 * torch.rand(parameter.shape, generator=generator))
    return divided, spec


def exported(made: Made, crops: Crops) -> export.Exported:
    divided, spec = made
    return export.export(divided, divided.module, crops.images, "tuned", spec, "from base")


def test_the_file_computes_what_was_trained_and_inherits_the_licence(
    made: Made, crops: Crops
) -> None:
    found = exported(made, crops)
    assert found.parity <= 1e-4
    base = made[1]
    before = OnnxEmbedder(base, base.path.read_bytes(), Device.CPU).embed(crops.images)
    after = OnnxEmbedder(found.spec, found.content, Device.CPU).embed(crops.images)
    assert np.abs(before - after).max() > 0.01, "and that is not the base"
    assert (found.spec.licence, found.spec.commercial_use) == ("Test-1.0", False)
    assert found.spec.embedder_id.partition(":")[2] != base.embedder_id.partition(":")[2]
    assert found.spec.table is None and found.spec.odd is None and found.spec.children is None


def test_a_file_that_computes_something_else_is_refused(made: Made, crops: Crops) -> None:
    made[0].module.register_forward_hook(lambda module, given, found: found + 0.05)
    with pytest.raises(ModelError, match="cannot be exported"):
        exported(made, crops)


def test_registered_it_is_found_by_name_with_its_table_and_its_card(
    made: Made, crops: Crops, home: Path
) -> None:
    found = exported(made, crops)
    people = range(export.FEWEST_IN_TABLE)
    vectors = np.stack([unit_vector(seed, 64) for seed in people])
    table = export.reference_table(vectors, list(people), found.spec, "made up")
    assert table is not None and table.subjects == export.FEWEST_IN_TABLE
    card = export.card("tuned", {"licence": "Test-1.0"}, found.spec, ["a figure"])
    export.require_free("tuned")
    spec = export.register(found, table, card)
    assert spec == registry.find_embedder("tuned")
    assert spec.rewritten is not None, "its PReLUs are rewritten as those of added models are"
    own = operating_point.built_in_table(spec)
    assert own is not None and own.made_from == "made up"
    assert spec.card is not None and "a figure" in spec.card.read_text()
    ran = OnnxEmbedder(spec, registry.read_verified(spec), Device.CPU).embed(crops.images)
    wanted = OnnxEmbedder(found.spec, found.content, Device.CPU).embed(crops.images)
    assert np.abs(ran - wanted).max() < 1e-5
    assert [p for p in home.rglob("*") if p.is_file() and p.stat().st_mode & 0o077] == []
    for name in ("tuned", "TUNED", registry.DEFAULT_EMBEDDER):
        with pytest.raises(UsageError, match="choose another --name"):
            export.require_free(name)


def test_of_too_few_people_there_is_no_table(made: Made, crops: Crops) -> None:
    few = list(range(export.FEWEST_IN_TABLE - 1))
    vectors = np.stack([unit_vector(seed, 64) for seed in few])
    assert export.reference_table(vectors, few, exported(made, crops).spec, "few") is None


def test_the_base_s_card_comes_along(made: Made) -> None:
    shipped = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    assert shipped.card is not None
    text = export.card("tuned", {}, shipped, [])
    assert all(f"> {line}".rstrip() in text for line in shipped.card.read_text().splitlines())
    assert "withdrew it in 2019" in text
