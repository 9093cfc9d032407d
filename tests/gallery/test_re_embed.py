"""A gallery moved to another embedder: what moves, what stays, kills, company, and what is gone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import clips
from support.galleries import (
    Command,
    collins,
    environment,
    hopper,
    reference,
    two_faces,
    write_variants,
)
from support.networks import network

from facecli.common.enums import Reason
from facecli.common.errors import EmbedderMismatchError, GalleryError, UsageError
from facecli.common.types import FaceTemplate
from facecli.datasets.labels import LabelledPhoto
from facecli.gallery.gallery import Gallery
from facecli.gallery.re_embed import re_embed, survey
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor
from facecli.storage.interface import Called
from facecli.storage.keys import Key
from facecli.storage.records import NewReference
from facecli.storage.sqlite.connection import FileKind
from facecli.storage.sqlite.files_beside import work_path
from facecli.storage.sqlite.store import GalleryFile
from facecli.video.person import faces_of_one_person

GIVEN = ("--channel-order", "RGB", "--mean", "127.5", "--std", "128", "--no-flip")


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> Command:
    """With a second model, `grid`."""
    home = tmp_path_factory.mktemp("home")
    (home / "grid.onnx").write_bytes(network())
    command = Command(home)
    done = command("models", "add", home / "grid.onnx", *GIVEN, "--name", "grid")
    assert done.returncode == 0, done.stderr
    return command


@pytest.fixture(scope="module")
def enrolled(command: Command, tmp_path_factory) -> Path:
    """A folder with photos, and a gallery of them: `g`, and of the other model: `fresh`."""
    folder = tmp_path_factory.mktemp("enrolled")
    write_variants(folder / "p" / "Grace", hopper(), 3, width=200)
    write_variants(folder / "p" / "Eileen", collins(), 2, width=300)
    for gallery, model in (("g", ()), ("fresh", ("--model", "grid"))):
        done = command("enroll", folder / "p", "-g", folder / gallery, *model)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def path(enrolled: Path, tmp_path: Path) -> Path:
    """A copy of `g`."""
    return shutil.copy(enrolled / "g", tmp_path / "g.facecli")


@pytest.fixture
def grid(command: Command, monkeypatch) -> Extractor:
    monkeypatch.setenv("FACECLI_HOME", str(command.home))
    return Extractor.load(registry.find_embedder("grid"))


def rows(path: Path, kind: FileKind = FileKind.GALLERY) -> dict[int, tuple[str, str, str, bytes]]:
    store = GalleryFile.open(path, None, (kind,))
    assert store.reader.check() == []
    found = {
        r.id: (r.subject, r.path, r.enrolled_at, r.template.vector.tobytes())
        for r in store.reader.references()
    }
    store.close()
    return found


def test_templates_are_the_new_model_s_and_all_else_stays(
    command: Command, enrolled: Path, path: Path
):
    for words in (["log", "--on"], ["remove", "Eileen"], ["undo"], ["rename", "Grace", "Ada"]):
        assert command("gallery", *words, "-g", path).returncode == 0
    assert command("threshold", "--set", "0.4", "-g", path).returncode == 0
    before, bits = rows(path), path.read_bytes()
    dry = command("gallery", "re-embed", "--model", "grid", "--dry-run", "-g", path)
    assert dry.stdout.startswith(
        "dry run, nothing was changed: re-embedded 5 references with grid, left out 0\n"
    )
    assert path.read_bytes() == bits and [p.name for p in path.parent.iterdir()] == [path.name]

    done = command("gallery", "re-embed", "--model", "grid", "-g", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "calibrate again" in done.stdout
    after, fresh = rows(path), rows(enrolled / "fresh")
    assert {k: v[:3] for k, v in after.items()} == {k: v[:3] for k, v in before.items()}
    assert {v[1]: v[3] for v in after.values()} == {v[1]: v[3] for v in fresh.values()}
    (old,) = path.parent.glob("g.facecli.before-re-embed-*")
    assert rows(old) == before and old.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, old.name]
    store = GalleryFile.open(path)
    assert (store.reader.calibration(), store.journal.changes()) == (None, ())
    assert [e.action for e in store.audit_log.entries()][-1] == "re-embedded"
    assert store.reader.embedder_id.startswith("grid:")
    store.close()
    found = command("identify", enrolled / "p" / "Grace" / "000.jpg", "--threshold", "0.9",
                    "--csv", "-g", path)  # fmt: skip
    assert ",identified,Ada," in found.stdout, found.stderr
    again = command("gallery", "re-embed", "--model", "grid", "-g", path)
    assert again.returncode == 2 and "already" in again.stderr


def test_into_a_new_file_the_old_one_stays_in_use(command: Command, enrolled: Path, path: Path):
    bits, to = path.read_bytes(), path.with_name("new")
    done = command("gallery", "re-embed", "--model", "grid", "--to", to, "-g", path, "--json")
    row = json.loads(done.stdout)
    assert (row["gallery"], row["old"], row["references"]) == (str(to), None, 5)
    assert path.read_bytes() == bits and to.stat().st_mode & 0o777 == 0o600
    assert {v[3] for v in rows(to).values()} == {v[3] for v in rows(enrolled / "fresh").values()}
    for vector in rows(path).values():
        assert vector[3] not in to.read_bytes(), "nothing of the old model is in the new file"
    assert sorted(p.name for p in path.parent.iterdir()) == ["g.facecli", "new"]
    again = command("gallery", "re-embed", "--model", "grid", "--to", to, "-g", path)
    assert again.returncode == 2 and "new is there" in again.stderr


def test_photos_that_are_gone_or_changed_are_listed_and_left_out_once_agreed(
    command: Command, tmp_path: Path
):
    write_variants(tmp_path / "p" / "Grace", hopper(), 2, width=200)
    write_variants(tmp_path / "p" / "Eileen", collins(), 1, width=300)
    path = tmp_path / "g"
    command("enroll", tmp_path / "p", "-g", path)
    (tmp_path / "p" / "Eileen" / "000.jpg").unlink()
    changed = tmp_path / "p" / "Grace" / "001.jpg"
    changed.write_bytes(changed.read_bytes() + b"!")
    before = rows(path)
    asked = command("gallery", "re-embed", "--model", "grid", "-g", path)
    assert asked.returncode == 2 and "leave 2 references out? Say so with --yes" in asked.stderr
    for line in (
        "of Eileen",
        f"{changed}: changed since it was enrolled",
        "000.jpg: not found: looked for from the folder you are in; if it was moved, --look-in",
    ):
        assert line in asked.stderr
    assert rows(path) == before
    dry = command("gallery", "re-embed", "--model", "grid", "-g", path, "--dry-run", "--json")
    assert [out["reason"] for out in json.loads(dry.stdout)["left_out"]] == [
        "not found", "changed since it was enrolled",
    ]  # fmt: skip
    done = command("gallery", "re-embed", "--model", "grid", "-g", path, "--yes")
    assert done.stdout.startswith("re-embedded 1 reference with grid, left out 2\n")
    assert [row[0] for row in rows(path).values()] == ["Grace"]
    shutil.rmtree(tmp_path / "p")
    none = command("gallery", "re-embed", "--model", "mobilefacenet-arcface", "-g", path, "--yes")
    assert none.returncode == 4 and "no reference could be re-embedded" in none.stderr
    assert [row[0] for row in rows(path).values()] == ["Grace"]


def test_the_same_face_is_found_by_its_place_and_a_copy_of_the_photo_will_do(
    command: Command, tmp_path: Path, grid: Extractor
):
    photo, path = two_faces(tmp_path / "two.png"), tmp_path / "g"
    shutil.copy(photo, tmp_path / "copy.png")
    command("enroll", photo, "-s", "Two", "--faces", "all", "-g", path)
    command("enroll", tmp_path / "copy.png", "-s", "One", "-g", path)
    photo.unlink()
    store = GalleryFile.open(path)
    assert store.reader.counts() == (2, 3)
    store._db.execute("UPDATE reference SET face = 9 - face")  # the detector's order may change
    boxes = {r.id: np.array(r.face.box) for r in store.reader.references()}
    done = re_embed(store, grid, None, pytest.fail, None, lambda: None)
    assert (done.references, done.left_out) == (3, ())
    after = {r.id: r for r in store.reader.references()}
    assert all(np.abs(after[i].face.box - boxes[i]).max() < 2 for i in boxes)
    assert not np.allclose(after[1].template.vector, after[2].template.vector)
    fresh = grid.photo(tmp_path / "copy.png")
    for face in fresh.faces:
        twin = [
            r for r in after.values() if np.abs(np.subtract(r.face.box, face.face.box)).max() < 2
        ]
        assert twin and all(np.array_equal(r.template.vector, face.template.vector) for r in twin)
    store._db.execute("UPDATE gallery SET embedder_id = 'other:1:p'")
    store._db.execute("UPDATE reference SET x1 = x1 + 900, x2 = x2 + 900 WHERE id = 1")
    store.close()
    store = GalleryFile.open(path)
    seen: list[int] = []
    re_embed(store, grid, None, lambda out: seen.extend(o.reference for o in out), 1, lambda: None)
    assert seen == [1] and store.reader.counts() == (2, 2)
    store.close()


SLOW = """
import sys
from pathlib import Path
from facecli.gallery import re_embed
from facecli.gallery.gallery import Gallery
from facecli.storage.keys import Key
from facecli.storage.records import NewReference
re_embed.COMMIT_EVERY = 1
with Gallery.open(Path(sys.argv[1])) as gallery:
    gallery.re_embed("grid", workers=1, progress=lambda: print("done", flush=True))
"""


def test_killed_it_goes_on_where_it_was(command: Command, path: Path, grid: Extractor):
    before = rows(path)
    worker = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(path)], env=environment(command.home),
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stdout is not None
    told = [worker.stdout.readline() for _ in range(2)]
    worker.kill()
    worker.communicate()
    assert told == ["done\n"] * 2
    if (work := work_path(path, "grid")).exists():  # else it was quicker than the kill
        assert rows(path) == before
        kept = len(rows(work, FileKind.WORK))
        assert kept >= 2
        store, steps = GalleryFile.open(path), []
        re_embed(store, grid, None, pytest.fail, None, lambda: steps.append(1))
        store.close()
        assert len(steps) == 5 - kept and not work.exists()
    assert len(rows(path)) == 5


def test_who_comes_meanwhile_is_not_lost_and_who_goes_does_not_come_back(
    path: Path, grid: Extractor
):
    store, other = GalleryFile.open(path), GalleryFile.open(path)
    stale = Gallery.open(path)

    def meanwhile() -> None:
        if "Late" not in {s.name for s in other.reader.subjects()}:
            other.add([reference("Late", 7)])
            other.remove("Eileen")

    with pytest.raises(GalleryError, match="1 of the references were enrolled while"):
        re_embed(store, grid, None, pytest.fail, 1, meanwhile)
    assert {s.name for s in other.reader.subjects()} == {"Grace", "Late"}
    assert [p.name for p in path.parent.glob("*before*")] == []
    done = re_embed(store, grid, None, lambda out: None, 1, meanwhile)
    assert (done.references, [out.subject for out in done.left_out]) == (3, ["Late"])
    assert {s.name for s in store.reader.subjects()} == {"Grace"} and store.reader.check() == []
    with pytest.raises(EmbedderMismatchError, match="re-embedded meanwhile"):
        other.add([reference("Later", 8)])
    with pytest.raises(EmbedderMismatchError, match="re-embedded meanwhile"):
        list(stale.identify([hopper()], threshold=0.5))
    with pytest.raises(UsageError, match="already"):
        re_embed(store, grid, None, pytest.fail, 1, meanwhile)
    for opened in (store, other, stale):
        opened.close()


def test_an_encrypted_gallery_stays_encrypted(path: Path, tmp_path: Path, grid: Extractor):
    pytest.importorskip("sqlcipher3", reason="NOT CHECKED: pip install 'facecli[encrypted]'")
    plain, locked, key = GalleryFile.open(path), tmp_path / "locked", Key("ab" * 32)
    new = [NewReference(r.subject, FaceTemplate(r.face, r.template), r.photo_sha256, r.face_index,
                        r.path) for r in plain.reader.references()]  # fmt: skip
    store = GalleryFile.create(locked, plain.reader.embedder_id, plain.reader.dimension, key)
    store.add(new)
    plain.close()
    done = re_embed(store, grid, tmp_path / "to", pytest.fail, None, lambda: None)
    assert re_embed(store, grid, None, pytest.fail, None, lambda: None).old is not None
    for file in tmp_path.glob("*"):
        assert file == path or b"Grace" not in file.read_bytes(), file
    copy = GalleryFile.open(tmp_path / "to", key)
    assert (
        copy.reader.check() == store.reader.check() == []
        and done.references == copy.reader.counts()[1] == 5
    )
    copy.close()
    store.close()


def test_an_erasure_takes_unfinished_work_with_it(path: Path, grid: Extractor):
    store = GalleryFile.open(path)
    with pytest.raises(ZeroDivisionError):
        re_embed(store, grid, None, pytest.fail, 1, lambda: 1 // 0)
    work = work_path(path, "grid")
    assert work.exists()
    assert store.erase(Called("Grace")).complete
    assert not work.exists()
    store.close()


def test_photos_that_moved_are_found_by_their_content_and_noted(
    command: Command, enrolled: Path, path: Path, tmp_path: Path
):
    shutil.copytree(enrolled / "p", tmp_path / "p")
    gallery = tmp_path / "moved"
    assert command("enroll", tmp_path / "p", "-g", gallery).returncode == 0
    for name in ("Grace", "Eileen"):
        (tmp_path / "p" / name).rename(tmp_path / f"new {name}")
    (tmp_path / "new Grace" / "000.jpg").rename(tmp_path / "new Grace" / "renamed.jpg")
    words = ("gallery", "re-embed", "--model", "grid", "-g", gallery, "--look-in", tmp_path)
    dry = json.loads(command(*words, "--dry-run", "--json").stdout)
    assert (dry["references"], dry["left_out"]) == (5, [])
    done = command(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(Path(v[1]).relative_to(tmp_path).as_posix() for v in rows(gallery).values()) == [
        "new Eileen/000.jpg", "new Eileen/001.jpg",
        "new Grace/001.jpg", "new Grace/002.jpg", "new Grace/renamed.jpg",
    ]  # fmt: skip


def test_a_clip_s_faces_are_found_in_it_again(tmp_path: Path, extractor, grid: Extractor):
    """At their moments: each is what the other embedder makes of that very face."""
    clip = clips.write(tmp_path / "x.mp4", clips.walk(clips.grace(), 12, 0.2, 0.8))
    fresh = faces_of_one_person(grid, clip, 0.0)
    at = {found.face.box: found.template.vector for found in fresh}  # type: ignore[union-attr]
    with Gallery.open(tmp_path / "g", create=True) as gallery:
        gallery.models.extractor = extractor
        gallery.enroll([LabelledPhoto(clip, "Grace")])
        boxes = {row.id: row.face.box for row in gallery.storage.reader.references()}
    store = GalleryFile.open(tmp_path / "g", None, (FileKind.GALLERY,))
    done = re_embed(store, grid, None, pytest.fail, 1, lambda: None)
    assert (done.references, done.left_out) == (3, ())
    after = {row.id: row for row in store.reader.references()}
    assert after.keys() == boxes.keys()
    assert all(row.face.box == pytest.approx(boxes[i]) for i, row in after.items())
    vectors = np.stack([row.template.vector for row in after.values()])
    assert store.reader.embedder_id == grid.spec.embedder_id
    assert not np.allclose(vectors[0], vectors[1], atol=1e-4)  # of moments of their own
    for row in after.values():
        if row.face.box in at:
            assert np.allclose(row.template.vector, at[row.face.box], atol=1e-6)
    store.close()


def test_a_clip_that_is_gone_or_changed_is_left_out_and_a_moved_one_looked_for(
    tmp_path: Path, extractor, grid: Extractor
):
    made = {
        name: clips.write(tmp_path / name, clips.walk(clips.grace(), 5, 0.2, end))
        for name, end in (("gone.mp4", 0.5), ("changed.mp4", 0.6), ("moved.mp4", 0.7))
    }
    with Gallery.open(tmp_path / "g", create=True) as gallery:
        gallery.models.extractor = extractor
        gallery.enroll([LabelledPhoto(path, path.stem) for path in made.values()])
    made["gone.mp4"].unlink()
    with made["changed.mp4"].open("ab") as file:
        file.write(b"more")
    (tmp_path / "elsewhere").mkdir()
    moved = made["moved.mp4"].rename(tmp_path / "elsewhere" / "moved.mp4")
    store = GalleryFile.open(tmp_path / "g", None, (FileKind.GALLERY,))
    told = survey(store, grid.spec, [moved.parent])
    done = re_embed(store, grid, None, lambda _: None, 1, lambda: None, [moved.parent])
    assert told.left_out == done.left_out and told.references == done.references == 3
    why = {(out.subject, out.failure.reason, out.failure.path) for out in done.left_out}
    assert why == {
        ("gone", Reason.NOT_FOUND, str(made["gone.mp4"])),
        ("changed", Reason.CHANGED, str(made["changed.mp4"])),
    }
    assert {row.path for row in store.reader.references()} == {str(moved)}
    store.close()
