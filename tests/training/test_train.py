"""The whole command, on people of LFW: before and after, refused or registered, cut short."""

from __future__ import annotations

import json
import random
import re
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.galleries import Command, environment
from support.patience import LAST_RESORT

pytest.importorskip("torch", reason="NOT CHECKED: pip install 'facecli[train]'")
pytest.importorskip("onnx2torch", reason="NOT CHECKED: pip install 'facecli[train]'")

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def people(lfw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 people with three photos and 303 with one, as links."""
    folder = tmp_path_factory.mktemp("people")
    draw = random.Random(3)
    own = {path: sorted(path.iterdir()) for path in sorted((lfw / "photos").iterdir())}
    several = draw.sample([p for p in own if len(own[p]) >= 3], 40)
    alone = draw.sample([p for p in own if len(own[p]) == 1], 303)
    for person in (*several, *alone):
        (folder / person.name).mkdir()
        for photo in own[person][:3]:
            (folder / person.name / photo.name).symlink_to(photo)
    return folder


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def out(people: Path, command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run killed after an epoch."""
    out = tmp_path_factory.mktemp("run") / "out"
    words = command.arguments("train", people, "--name", "mine", "--epochs", "3", "--out", out)
    process = subprocess.Popen(words, env=environment(command.home), stderr=subprocess.PIPE)
    assert process.stderr is not None
    for line in process.stderr:
        if b"epoch 1:" in line:
            break
    process.kill()
    process.communicate(timeout=LAST_RESORT)
    assert (out / "checkpoint.pt").is_file()
    return out


def test_a_killed_run_goes_on_measures_registers_and_its_model_is_used(
    out: Path, people: Path, command: Command, tmp_path: Path
) -> None:
    words = ("train", people, "--name", "mine", "--epochs", "3", "--resume", out)
    page = tmp_path / "page.html"
    done = command(*words, "--json", "--register", "--anyway", "--report", page)
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert "epoch 2:" in done.stderr and "epoch 1:" not in done.stderr
    assert row["registered"] and row["verdict"] in ("better", "no difference shown", "worse")
    (one,) = row["comparisons"]
    assert one["dir"]["low"] <= one["dir"]["difference"] <= one["dir"]["high"]
    assert one["before"]["nonmated_angle"] == pytest.approx(90, abs=6)
    assert row["parity"] <= 1e-4 and row["licence"] == "Apache-2.0"
    assert re.search("table of 2[01][0-9] people", row["table"])
    text = page.read_text()
    assert "<script" not in text and text.count("data:image/png") == 3
    gallery = tmp_path / "g"
    for arguments in (
        ("enroll", people, "--model", "mine", "-g", gallery, "-q"),
        ("models", "verify", "mine"),
        ("gallery", "info", "-g", gallery),
    ):
        used = command(*arguments)
        assert used.returncode == 0, used.stderr
    assert too_open(out) == [] == too_open(command.home)
    again = command(*words, "--register")
    assert again.returncode == 2 and "choose another --name" in again.stderr


def too_open(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and p.stat().st_mode & 0o077]


def test_without_a_gain_it_is_not_registered_and_people_enrolled_are_named(
    people: Path, command: Command, tmp_path: Path
) -> None:
    gallery, out = tmp_path / "g", tmp_path / "out"
    several = sorted(p for p in people.iterdir() if len(list(p.iterdir())) == 3)
    assert command("enroll", *several, "-g", gallery, "-q").returncode == 0
    words = ("train", people, "--name", "plain", "--epochs", "1", "--lr", "1e-9", "--part", "head")
    done = command(*words, "--out", out, "--register", "-g", gallery)
    assert done.returncode == 5, done.stderr
    assert "no difference shown" in done.stdout and "was not registered" in done.stderr
    assert "24 of the people trained on are enrolled" in done.stderr
    assert command("models", "info", "plain").returncode == 5
    assert (out / "model.onnx").is_file()
    second = command(*words, "--out", out)
    assert second.returncode == 3 and "--resume" in second.stderr
    other = command(*words, "--resume", out, "--seed", "1")
    assert other.returncode == 3 and "of another run" in other.stderr


def test_ctrl_c_before_the_first_epoch_sends_nobody_to_what_is_not_there(
    people: Path, command: Command, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        command.arguments("train", people, "--name", "early", "--out", out),
        env=environment(command.home), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    while process.poll() is None and not out.is_dir():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    *_, last = process.stderr
    assert process.wait(LAST_RESORT) == 130
    assert last == "facecli: interrupted; no epoch was trained yet, run the same command again\n"
    assert not (out / "checkpoint.pt").exists()


def test_ctrl_c_ends_it_in_one_line_and_the_next_call_goes_on(
    people: Path, command: Command, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("train", people, "--name", "stopped", "--epochs", "2", "--part", "all")  # the slowest
    process = subprocess.Popen(
        command.arguments(*words, "--out", out), env=environment(command.home),
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    assert any("epoch 0" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    *_, last = process.stderr
    assert process.wait(LAST_RESORT) == 130
    assert last == f"facecli: interrupted; go on with the same words and --resume {out}\n"
    assert (out / "checkpoint.pt").is_file()
    done = command(*words, "--resume", out)
    assert done.returncode == 0, done.stderr
    assert "epoch 0" not in done.stderr and "epoch 2:" in done.stderr


def test_a_full_disk_is_said_at_every_file_and_what_was_done_is_kept(
    people: Path, command: Command, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("train", people, "--name", "full", "--epochs", "1")

    def files() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in out.iterdir()}

    def cut_short_at(name: str, *more: object) -> None:
        """Whatever is larger than a quarter of a megabyte cannot be written."""
        before = files() if out.exists() else {}
        done = subprocess.run(
            command.arguments(*words, *more), capture_output=True, text=True,
            env=environment(command.home),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, 1 << 18)),
        )  # fmt: skip
        assert done.returncode == 74, done.stderr
        assert done.stderr.splitlines()[-1].startswith(f"facecli: error: {out / name} cannot be")
        assert files() == before

    cut_short_at("crops.npz", "--out", out)
    assert command(*words, "--out", out).returncode == 0
    for name in ("card.md", "table.json", "model.onnx"):
        (out / name).unlink()
    cut_short_at("model.onnx", "--resume", out)
    assert command(*words, "--resume", out).returncode == 0
    for name in ("card.md", "table.json", "model.onnx", "checkpoint.pt"):
        (out / name).unlink()
    cut_short_at("checkpoint.pt", "--out", out)
    assert command(*words, "--out", out).returncode == 0


def test_a_dry_run_counts_and_writes_nothing(
    people: Path, command: Command, tmp_path: Path
) -> None:
    done = command("train", people, "--name", "x", "--dry-run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert (row["people"], row["photos"]) == (343, 423)
    assert row["train"] == {"people": 24, "photos": 72}
    assert row["select"]["strangers"] == 101 and row["report"]["people"] == 10
    assert row["seconds"] > 0 and row["bytes"] > 423 * 112 * 112 * 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["checkpoint.pt", "model.onnx", "card.md", "table.json", "crops.npz"]
)
def test_a_file_that_is_no_run_s_is_not_replaced(
    name: str, people: Path, command: Command, tmp_path: Path
) -> None:
    (tmp_path / name).write_text("mine")
    for option in ("--out", "--resume"):
        done = command("train", people, "--name", "x", option, tmp_path)
        assert done.returncode == 3 and done.stderr.count("\n") == 1, done.stderr
        assert [p.name for p in tmp_path.iterdir()] == [name]
        assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--m3", "0.2"), 2, "does not go with"),
        (("--device", "coreml"), 2, "not on coreml"),
        (("--anyway",), 2, "goes with --register"),
        (("--from", "none"), 5, "no embedder called"),
        (("--lr", "0"), 2, "--lr"),
        (("--devices", "2", "--batch", "3", "--device", "cpu"), 2, "--devices 2 takes a --batch"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    words: tuple[str, ...], code: int, said: str, people: Path, command: Command, tmp_path: Path
) -> None:
    done = command("train", people, "--name", "x", *words, cwd=tmp_path)
    assert done.returncode == code and said in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1


def test_judges_who_are_all_left_out_are_not_replaced_without_a_word(
    command: Command, people: Path, tmp_path: Path
) -> None:
    (tmp_path / "judges" / "Somebody Else").mkdir(parents=True)
    photo = next(iter(people.glob("*/*.jpg")))
    (tmp_path / "judges" / "Somebody Else" / "1.jpg").write_bytes(photo.read_bytes())
    done = command(
        "train", people, "--name", "x", "--validate-dir", tmp_path / "judges", cwd=tmp_path
    )
    assert done.returncode == 3 and "nobody of --validate-dir is left" in done.stderr, done.stderr


def test_one_person_is_not_enough(command: Command, people: Path, tmp_path: Path) -> None:
    (tmp_path / "Ada").mkdir()
    photo = next(iter(people.glob("*/*.jpg")))
    (tmp_path / "Ada" / "1.jpg").write_bytes(photo.read_bytes())
    done = command("train", tmp_path, "--name", "x", "--dry-run")
    assert done.returncode == 3 and "there is one person" in done.stderr
