"""Every command there is, as Typer knows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

from facecli.cli.app import app


def all_commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """The words of each, `()` for the program itself, and the command or group they name."""
    yield from _below((), get_command(app))


def _below(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    if isinstance(command, TyperGroup):
        for name in command.list_commands(None):
            yield from _below((*words, name), command.get_command(None, name))
