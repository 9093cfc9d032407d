"""Shell completion: the real bash, asked for what Tab would show."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.galleries import environment

BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None, reason="NOT CHECKED: no bash here")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user with a `facecli` on the path."""
    script = tmp_path / "bin" / "facecli"
    script.parent.mkdir()
    script.write_text(
        f"#!{sys.executable}\nimport sys; sys.argv[0] = 'facecli'\n"
        "from facecli.cli import main; main()\n"
    )
    script.chmod(0o755)
    return tmp_path


def bash(home: Path, lines: str) -> str:
    """What these lines print in a shell of this user."""
    surroundings = environment(home)
    surroundings |= {"HOME": str(home), "PATH": f"{home / 'bin'}:{surroundings['PATH']}"}
    assert BASH is not None
    # From a file: Typer asks for the name of the process that called it.
    (home / "lines.sh").write_text(lines)
    done = subprocess.run(
        [BASH, "--norc", home / "lines.sh"], capture_output=True, text=True, env=surroundings,
        timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


SHOWN = 'eval "$(facecli --show-completion)"'
INSTALLED = "facecli --install-completion > /dev/null; . ~/.bashrc"


def completed(home: Path, setting_up: str, *words: str) -> list[str]:
    """What Tab shows for the last of these words, in a shell that was set up so."""
    lines = (
        setting_up,
        f"COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}",
        "$(complete -p facecli | sed 's/.*-F \\([^ ]*\\) .*/\\1/') facecli",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    )
    return bash(home, "\n".join(lines)).split()


@pytest.mark.parametrize("setting_up", [SHOWN, INSTALLED], ids=["shown", "installed"])
def test_tab_shows_commands(home: Path, setting_up: str) -> None:
    every = completed(home, setting_up, "facecli", "")
    assert {"enroll", "identify", "gallery", "doctor"} <= {*every}
    assert completed(home, setting_up, "facecli", "ide") == ["identify"]


def test_tab_shows_what_follows_a_command(home: Path) -> None:
    assert completed(home, SHOWN, "facecli", "gallery", "re") == ["rename", "remove", "re-embed"]
    assert completed(home, SHOWN, "facecli", "identify", "--js") == ["--json", "--jsonl"]
    assert completed(home, SHOWN, "facecli", "identify", "--device", "op") == ["openvino"]


def test_installing_changes_only_the_user_s_own_files(home: Path) -> None:
    before = {p.name for p in home.iterdir()}
    said = bash(home, "facecli --install-completion")
    assert "bash completion installed" in said
    assert {p.name for p in home.iterdir()} - before - {"lines.sh"} == {
        ".bashrc", ".bash_completions",
    }  # fmt: skip
