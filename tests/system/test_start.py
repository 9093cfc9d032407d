"""What a command loads: `--help` nothing heavy, `identify` no more than it uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.galleries import Command, environment, hopper
from support.patience import LAST_RESORT

HEAVY = {
    "cv2", "faiss", "numpy", "onnx", "onnxruntime", "PIL", "platformdirs", "pydantic", "rich",
    "scipy", "sqlite3", "sqlite_utils", "tabulate", "tqdm", "wcwidth",
}  # fmt: skip
# pydantic: Typer makes every value of a command with it; no help needs it.
USED_BY_IDENTIFY = {"cv2", "numpy", "onnxruntime", "PIL", "platformdirs", "pydantic", "sqlite3"}
# Runs the command as its console script does, then says on stderr what is loaded.
SCRIPT = (
    "import sys, atexit; sys.argv[0] = 'facecli'\n"
    "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
    "from facecli.cli import main; main()"
)


def loaded(home: Path, *arguments: str | Path) -> set[str]:
    """The modules that the command holds when it ends, by their full names."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True, text=True, env=environment(home), timeout=LAST_RESORT, check=True,
    )  # fmt: skip
    return set(done.stderr.splitlines()[-1].split())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With Grace Hopper enrolled, and both networks' optimised graphs in the cache."""
    folder = tmp_path_factory.mktemp("home")
    done = Command(folder)("enroll", hopper(), "--subject", "Grace Hopper")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize(
    "command",
    ["--help", "--version", "identify --help", "gallery --help", "gallery show --help"],
)
def test_help_loads_nothing_heavy(home: Path, command: str) -> None:
    found = loaded(home, *command.split())
    assert "typer" in found, "the list is not that of this process"
    assert found & HEAVY == set()


@pytest.mark.parametrize("form", ["--json", "--jsonl", "--csv", "--quiet"])
def test_identify_loads_only_what_it_uses(home: Path, form: str) -> None:
    found = loaded(home, "identify", hopper(), "--top", "3", "--threshold", "0.4", form)
    assert found & HEAVY <= USED_BY_IDENTIFY
    assert {"cv2", "onnxruntime"} <= found
    assert "PIL.GifImagePlugin" not in found, "10 ms for formats that the photo does not have"


@pytest.mark.parametrize(
    "words",
    [("list",), ("check",), ("remove", "Grace Hopper", "--dry-run"), ("undo", "--list"), ("log",)],
    ids=lambda words: words[0],
)
def test_what_concerns_people_loads_no_model(home: Path, words: tuple[str, ...]) -> None:
    found = loaded(home, "gallery", *words)
    rooms = {name.split(".")[1] for name in found if name.startswith("facecli.")}
    assert rooms == {"cli", "common", "metrics", "report", "storage"}
    assert found & HEAVY <= {"numpy", "platformdirs", "pydantic", "sqlite3"}


def test_identify_looks_for_no_plugins_that_nobody_named(home: Path) -> None:
    """That reads the metadata of all that is installed; pydantic only imports what would."""
    script = (
        "import importlib.metadata as metadata\n"
        "metadata.entry_points = lambda **_: print('LOOKED FOR PLUGINS')\n" + SCRIPT
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "identify", hopper()],
        capture_output=True, text=True, env=environment(home), timeout=120, check=True,
    )  # fmt: skip
    assert "Grace Hopper" in done.stdout
    assert "LOOKED" not in done.stdout


def test_python_ends_without_looking_for_garbage(home: Path) -> None:
    """Among all that was imported that took a tenth of a short command's time."""
    script = (
        "import gc, sys; sys.argv[:] = ['facecli', '--version']\n"
        "from facecli.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(gc.get_freeze_count() > len(gc.get_objects()), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(home)
    )
    assert done.stderr == "True\n"


COMMANDS = {
    f"facecli.cli.{name}"
    for name in ("demo", "enroll", "evaluate", "gallery", "identify", "models", "threshold")
}


@pytest.mark.parametrize(
    ("arguments", "called"),
    [
        ("--version", set()),
        ("identify --help", {"facecli.cli.identify"}),
        ("gallery list --help", {"facecli.cli.gallery"}),
        ("gallery encrypt --help", {"facecli.cli.gallery", "facecli.cli.encryption"}),
    ],
)
def test_only_the_command_that_is_called_is_imported(
    home: Path, arguments: str, called: set[str]
) -> None:
    found = loaded(home, *arguments.split())
    assert found & COMMANDS == called & COMMANDS
    assert called <= found


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--top", "0"], "Input should be greater than or equal to 1"),
        (["--top", "three"], "--top"),
        (["--min-quality", "nan"], "--min-quality"),
        (["--device", "abacus"], "is not one of 'auto', 'cpu'"),
    ],
)
def test_a_value_that_is_none_is_refused_in_typer_s_words(
    home: Path, arguments: list[str], words: str
) -> None:
    done = Command(home)("identify", "photo.jpg", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("facecli: error: invalid value for '")
    assert done.stderr.endswith("identify --help`)\n") and done.stderr.count("\n") == 1


def test_values_come_as_their_types(home: Path) -> None:
    """From the command line and from the environment; of a list every one."""
    folder = home / "two photos"
    folder.mkdir()
    for name in ("ä.jpg", "b.jpg"):
        (folder / name).write_bytes(hopper().read_bytes())
    done = Command(home)(
        "identify", folder / "ä.jpg", folder / "b.jpg", "--csv", "--threshold", "0.99",
        FACECLI_DEVICE="cpu", FACECLI_GALLERY=str(home / "gallery.facecli"),
    )  # fmt: skip
    rows = done.stdout.splitlines()
    assert [row.split(",")[1].split("/")[-1] for row in rows[1:]] == ["ä.jpg", "b.jpg"]
    assert ",0.99," in rows[1]
