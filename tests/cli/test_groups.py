"""Which command is meant by what was typed; and shell completion: the real bash, asked for what Tab
would show.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from support.commands import all_commands
from support.galleries import environment

from facecli.cli.app import app
from facecli.cli.groups import LazyGroup
from facecli.common.errors import UsageError
from facecli.common.version import __version__

BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(BASH is None, reason="NOT CHECKED: no bash here")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("list", "gallery list"), ("find a.jpg", "identify"), ("compare a b", "verify"),
        ("gallery delete Ada", "gallery remove"), ("gallery dlete Ada", "gallery remove"),
        ("models ls", "models list"), ("undo", "gallery undo"), ("calibrate", "threshold"),
        ("regster", "enroll"), ("recognise a.jpg", "identify"), ("identfy", "identify"),
        ("create", "enroll"), ("camera 0", "watch"), ("cluster photos", "group"),
        ("remov Ada", "gallery remove"), ("models use sface", "--model NAME"),
    ],
)  # fmt: skip
def test_a_near_miss_is_told_the_right_name(words: str, meant: str) -> None:
    with pytest.raises((UsageError, typer.TyperException)) as told:
        app(words.split(), standalone_mode=False)
    said = str(getattr(told.value, "message", told.value))
    assert f"Did you mean '{meant}" in said


def test_a_word_like_none_is_not_guessed_at() -> None:
    with pytest.raises((UsageError, typer.TyperException)) as told:
        app(["serve"], standalone_mode=False)
    assert "Did you mean" not in str(getattr(told.value, "message", told.value))


def test_what_is_meant_is_a_command() -> None:
    every = {words for words, _ in all_commands()}
    groups = [group for _, group in all_commands() if isinstance(group, LazyGroup)]
    assert len(groups) >= 3
    for group in groups:
        assert not set(group.meant) & set(group.homes)
        for meant in group.meant.values():
            words = tuple(word for word in meant.split() if word.islower() and word[0] != "-")
            assert words in every, meant


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        ("help", "[OPTIONS] COMMAND"), ("help identify", "identify [OPTIONS]"),
        ("help gallery list", "gallery list [OPTIONS]"), ("gallery help", "gallery [OPTIONS]"),
    ],
)  # fmt: skip
def test_help_is_a_word_too(words: str, usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app(words.split(), standalone_mode=False) in (None, 0)
    out, err = capsys.readouterr()
    assert usage in out.splitlines()[0] and err == ""


def test_version_has_a_short_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert app(["-V"], standalone_mode=False) in (None, 0)
    assert capsys.readouterr().out == f"facecli {__version__}\n"


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


@needs_bash
@pytest.mark.parametrize("setting_up", [SHOWN, INSTALLED], ids=["shown", "installed"])
def test_tab_shows_commands(home: Path, setting_up: str) -> None:
    every = completed(home, setting_up, "facecli", "")
    assert {"enroll", "identify", "gallery", "doctor"} <= {*every}
    assert completed(home, setting_up, "facecli", "ide") == ["identify"]


@needs_bash
def test_tab_shows_what_follows_a_command(home: Path) -> None:
    assert completed(home, SHOWN, "facecli", "gallery", "re") == ["rename", "remove", "re-embed"]
    assert completed(home, SHOWN, "facecli", "identify", "--js") == ["--json", "--jsonl"]
    assert completed(home, SHOWN, "facecli", "identify", "--device", "op") == ["openvino"]


@needs_bash
def test_installing_changes_only_the_user_s_own_files(home: Path) -> None:
    before = {p.name for p in home.iterdir()}
    said = bash(home, "facecli --install-completion")
    assert "bash completion installed" in said
    assert {p.name for p in home.iterdir()} - before - {"lines.sh"} == {
        ".bashrc", ".bash_completions",
    }  # fmt: skip
