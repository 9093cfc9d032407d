"""Where models lie, in which order they are found, and that a damaged one is never used."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facecli.cli.models import app
from facecli.common import places
from facecli.common.errors import ModelError
from facecli.recognition.model_zoo import registry
from facecli.recognition.model_zoo.specs import ChannelOrder

SHIPPED = [registry.DEFAULT_EMBEDDER, "sface"]
DESCRIPTION = """
[embedder."{name}"]
file = "model.onnx"
sha256 = "{sha256}"
input_size = 112
channel_order = "BGR"
mean = 0
std = 1
dimension = 64
flip = false
preprocessing = 1
licence = "MIT"
commercial_use = true
source = "a test"
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of this test's own, and none of the user's choices."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("FACECLI_HOME", str(tmp_path / "facecli"))
    monkeypatch.delenv("FACECLI_MODEL", raising=False)
    return tmp_path


def describe(home: Path, name: str, content: bytes = b"weights") -> Path:
    """Put a model of this content where `add` would."""
    folder = home / "facecli" / "models" / name
    folder.mkdir(parents=True)
    sha256 = hashlib.sha256(content).hexdigest()
    (folder / "model.onnx").write_bytes(content)
    (folder / "model.toml").write_text(DESCRIPTION.format(name=name, sha256=sha256))
    return folder


def test_shipped_files_are_the_ones_described() -> None:
    embedder, detector = registry.find_embedder(), registry.find_detector()
    assert embedder.name == registry.DEFAULT_EMBEDDER
    assert (embedder.channel_order, embedder.mean, embedder.std) == ("RGB", 127.5, 128.0)
    assert registry.read_verified(embedder) == embedder.path.read_bytes()
    assert registry.read_verified(detector) == detector.path.read_bytes()


def test_a_shipped_table_or_card_that_exists_is_found() -> None:
    shipped = registry.SHIPPED
    for spec in registry.read_manifest(shipped / "manifest.toml"):
        assert (spec.table is not None) == (shipped / f"{spec.name}.table.json").exists()
        assert (spec.card is not None) == (shipped / f"{spec.name}.md").exists()


@pytest.mark.parametrize("damage", ["one bit", "cut off", "gone"])
def test_a_damaged_weight_file_is_refused(tmp_path: Path, damage: str) -> None:
    copy = tmp_path / "weights" / "copy.onnx"
    copy.parent.mkdir()
    content = bytearray(registry.find_embedder().path.read_bytes())
    content[len(content) // 2] ^= 1
    spec = replace(registry.find_embedder(), path=copy)
    if damage != "gone":
        copy.write_bytes(bytes(content) if damage == "one bit" else bytes(content[:1000]))
    with pytest.raises(ModelError, match="No such file" if damage == "gone" else "is damaged"):
        registry.read_verified(spec)


def test_added_models_come_after_the_shipped_ones_and_before_insightface(own_home: Path) -> None:
    describe(own_home, "zzz")
    pack = own_home / ".insightface" / "models" / "antelopev2" / "antelopev2"
    pack.mkdir(parents=True)
    (pack / "glintr100.onnx").write_bytes(b"nothing of the sort")
    names = [spec.name for spec in registry.embedders()]
    assert names == [*SHIPPED, "zzz", "glintr100"]
    found = registry.find_embedder("glintr100")
    assert found.path == pack / "glintr100.onnx"
    with pytest.raises(ModelError, match="is damaged or not the model glintr100"):
        registry.read_verified(found)


def test_an_added_model_goes_before_one_of_that_name_in_insightface(own_home: Path) -> None:
    added = describe(own_home, "w600k_r50")
    pack = own_home / ".insightface" / "models" / "buffalo_l"
    pack.mkdir(parents=True)
    (pack / "w600k_r50.onnx").write_bytes(b"x")
    assert registry.find_embedder("w600k_r50").path == added / "model.onnx"
    assert len(registry.embedders()) == len(SHIPPED) + 1


def test_of_two_known_files_of_one_name_the_content_tells_which_it_is(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so which licence it has: AuraFace's file is called as one of InsightFace's."""
    packs = own_home / ".insightface" / "models"
    for pack, content in (("a", b"AuraFace"), ("b", b"InsightFace")):
        (packs / pack).mkdir(parents=True)
        (packs / pack / "glintr100.onnx").write_bytes(content)
    contents = {"auraface": b"AuraFace", "glintr100": b"InsightFace"}
    models = [
        replace(m, spec=replace(m.spec, sha256=hashlib.sha256(contents[m.spec.name]).hexdigest()))
        for m in registry.known_models()
        if m.spec.name in contents
    ]
    monkeypatch.setattr(registry, "known_models", lambda: tuple(models))
    found = {name: registry.find_embedder(name) for name in contents}
    assert found["auraface"].path == packs / "a" / "glintr100.onnx"
    assert found["glintr100"].path == packs / "b" / "glintr100.onnx"
    assert (found["auraface"].commercial_use, found["glintr100"].commercial_use) == (True, False)
    (packs / "b" / "glintr100.onnx").unlink()
    assert [spec.name for spec in registry.embedders()] == [*SHIPPED, "auraface"]


def added_before_it_was_shipped(home: Path, **facts: str) -> Path:
    """`sface` as a user of an earlier version added it: the publisher's file's description."""
    folder = describe(home, "sface")
    (shipped,) = (s for s in registry.shipped_embedders() if s.name == "sface")
    assert shipped.published_sha256
    said = {
        "sha256": f'"{shipped.published_sha256}"', "channel_order": '"RGB"', "dimension": "128",
        "flip": "true", "centre": '"sface.centre.json"', **facts,
    }  # fmt: skip
    text = re.sub(r"(?m)^(sha256|channel_order|dimension|flip) = .*\n", "",
                  (folder / "model.toml").read_text())  # fmt: skip
    lines = (f"{key} = {value}\n" for key, value in said.items())
    (folder / "model.toml").write_text(text + "".join(lines))
    return folder


def test_a_model_added_before_it_was_shipped_is_the_shipped_one(own_home: Path) -> None:
    """Its galleries carry the publisher's file's id, and go on."""
    shipped = registry.find_embedder("sface")
    (added,) = registry.read_manifest(added_before_it_was_shipped(own_home) / "model.toml")
    assert added.embedder_id == shipped.embedder_id
    assert [spec.name for spec in registry.embedders()] == SHIPPED
    assert registry.find_embedder("sface", added.embedder_id) == shipped


def test_another_model_of_a_name_that_is_shipped_by_now_serves_its_galleries(
    own_home: Path,
) -> None:
    folder = added_before_it_was_shipped(own_home, flip="false")
    (added,) = registry.read_manifest(folder / "model.toml")
    shipped = registry.find_embedder("sface")
    assert (shipped.path.parent, added.flip) == (registry.SHIPPED, False)
    assert registry.find_embedder("sface", added.embedder_id) == added
    assert registry.find_embedder("sface", "sface:of nobody's") == shipped
    listed = json.loads(CliRunner().invoke(app, ["list", "--json"]).output)["embedders"]
    assert [m["name"] for m in listed] == [*SHIPPED, "sface"]


def test_the_argument_goes_before_the_environment_before_the_default(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(own_home, "mine")
    assert registry.find_embedder().name == registry.DEFAULT_EMBEDDER
    monkeypatch.setenv("FACECLI_MODEL", "mine")
    assert registry.find_embedder().name == "mine"
    assert registry.find_embedder(registry.DEFAULT_EMBEDDER).name == registry.DEFAULT_EMBEDDER


def test_an_unknown_name_lists_the_names_there_are_and_how_to_fetch_it(own_home: Path) -> None:
    describe(own_home, "mine")
    with pytest.raises(ModelError, match=f"There are: {', '.join(SHIPPED)}, mine"):
        registry.find_embedder("nobody")
    with pytest.raises(ModelError, match="facecli models pull w600k_r50"):
        registry.find_embedder("buffalo_l")


def test_a_broken_description_stops_only_its_own_model(own_home: Path) -> None:
    folder = describe(own_home, "mine")
    (folder / "model.toml").write_text('[embedder.mine]\nfile = "model.onnx"\n')
    assert registry.find_embedder().name == registry.DEFAULT_EMBEDDER
    with pytest.raises(ModelError, match=f"Remove {re.escape(str(folder))}"):
        registry.find_embedder("mine")


def test_the_embedder_id_changes_with_every_fact_that_changes_templates(tmp_path: Path) -> None:
    spec = registry.find_embedder()
    centre = tmp_path / "centre.json"
    centre.write_text("[0.1]")
    centred = replace(spec, centre=centre)
    ids = [
        spec.embedder_id,
        replace(spec, name="other").embedder_id,
        replace(spec, sha256="0" * 64).embedder_id,
        replace(spec, channel_order=ChannelOrder.BGR).embedder_id,
        replace(spec, mean=127.0).embedder_id,
        replace(spec, std=127.5).embedder_id,
        replace(spec, flip=False).embedder_id,
        replace(spec, preprocessing=2).embedder_id,
        centred.embedder_id,
    ]
    centre.write_text("[0.2]")
    ids.append(centred.embedder_id)
    assert len(set(ids)) == len(ids)
    assert re.fullmatch(r"mobilefacenet-arcface:[0-9a-f]{16}:p1-[0-9a-f]{8}", ids[0])
    moved = replace(spec, path=tmp_path, licence="other", table=tmp_path, card=None)
    assert moved.embedder_id == spec.embedder_id


def test_known_models_are_pinned_and_restricted_ones_say_so() -> None:
    known = {model.spec.name: model for model in registry.known_models()}
    assert set(known) == {"w600k_r50", "w600k_mbf", "glintr100", "auraface"}
    for model in known.values():
        assert re.fullmatch("[0-9a-f]{64}", model.spec.sha256)
        assert re.fullmatch("[0-9a-f]{64}", model.url_sha256)
        assert model.url.startswith(("https://github.com/", "https://huggingface.co/"))
        assert model.spec.commercial_use == (model.spec.name == "auraface")
    assert registry.find_known("antelopev2").spec.name == "glintr100"
    # A file that is no zip is pinned twice by one hash, and its place by a revision.
    auraface = known["auraface"]
    assert auraface.url_sha256 == auraface.spec.sha256
    assert re.search("/resolve/[0-9a-f]{40}/", auraface.url)
    assert (auraface.spec.dimension, auraface.spec.mean, auraface.spec.std) == (512, 127.5, 127.5)


def test_home_is_only_made_when_something_is_written(own_home: Path) -> None:
    registry.embedders()
    assert not places.home().exists()
    made = places.own_folder(places.home() / "models")
    assert made == own_home / "facecli" / "models"
    assert {path.stat().st_mode & 0o777 for path in (made, made.parent)} == {0o700}


def test_list_shows_what_is_here_and_what_can_be_fetched(own_home: Path) -> None:
    describe(own_home, "mine")
    text = CliRunner().invoke(app, ["list"]).output
    assert re.search(r"mobilefacenet-arcface +192 +Apache-2.0 +in use", text)
    assert re.search(r"w600k_r50 .*non-commercial.* facecli models pull w600k_r50", text)
    listed = json.loads(CliRunner().invoke(app, ["list", "--json"]).output)
    assert [m["name"] for m in listed["embedders"]] == [*SHIPPED, "mine"]
    assert [m["in_use"] for m in listed["embedders"]] == [True, False, False]
    assert "w600k_mbf" in [m["name"] for m in listed["known"]]


def test_info_gives_every_fact() -> None:
    facts = json.loads(CliRunner().invoke(app, ["info", "--json"]).output)
    spec = registry.find_embedder()
    assert facts["embedder_id"] == spec.embedder_id
    assert (facts["path"], facts["sha256"]) == (str(spec.path), spec.sha256)
    assert spec.embedder_id in CliRunner().invoke(app, ["info"]).output


def test_verify_names_the_damaged_model_and_fails(own_home: Path) -> None:
    good = CliRunner().invoke(app, ["verify"])
    assert good.exit_code == 0
    assert re.search(r"yunet +ok\nmobilefacenet-arcface +ok\nsface +ok", good.output)
    shutil.copy(__file__, describe(own_home, "mine") / "model.onnx")
    bad = CliRunner().invoke(app, ["verify"])
    assert re.search(r"sface +ok\nmine +damaged", bad.output)
    assert isinstance(bad.exception, ModelError)


def test_the_command_loads_nothing_heavy_for_help() -> None:
    code = (
        "import sys; from facecli.cli.models import app; "
        "app(['pull', '--help'], standalone_mode=False); "
        "print([m for m in ('numpy', 'onnxruntime', 'tqdm', 'rich') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip().endswith("[]")
