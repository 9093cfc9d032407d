"""Groups of commands, each imported when it is called.

Only Typer's documented classes and functions are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_command

from facecli.cli.paths import guarded
from facecli.common.errors import UsageError

# Typer's own options are None where they are not given, and of None it makes a bool with pydantic,
# which takes 0.1 s to import: with these defaults only a command's own options need it.
UNASKED = {"help": False}
_PLAIN: dict[str, Any] = {
    "add_completion": False, "rich_markup_mode": None,
    "context_settings": {"default_map": UNASKED},
}  # fmt: skip


LIKE = 0.75  # difflib's ratio from which a word is taken for a misspelt one: `serve` is no `merge`


class LazyGroup(TyperGroup):
    """A group whose commands are imported when they are called.

    homes: where each command stands, by its name, as `module:attribute`; the attribute is a
    function, or the Typer of a group. meant: what people call a command elsewhere, and what that
    is here, as words after `facecli`.
    """

    homes: ClassVar[Mapping[str, str]] = {}
    meant: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in the order of `homes`; nothing is imported."""
        return list(self.homes)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the words begin with. `help` asks for that of the words after it."""
        first, *others = args
        if first == "help":
            if others:
                return self.resolve_command(ctx, [*others, "--help"])
            typer.echo(ctx.get_help())
            raise typer.Exit
        meant = self._meant(first)
        if meant is not None:
            raise UsageError(
                f"no such command '{first}'. Did you mean '{meant}'? "
                f"(see `{ctx.command_path} --help`)"
            )
        return super().resolve_command(ctx, args)

    def _meant(self, word: str) -> str | None:
        """What is called so elsewhere; None where it is one of ours, or Typer sees which."""
        from difflib import get_close_matches  # only after a mistake

        if word in self.homes or word in self.meant:
            return self.meant.get(word)
        near = get_close_matches(word, [*self.homes, *self.meant], 1)
        if near and near[0] in self.homes:
            return None
        near = get_close_matches(word, self.meant, 1, LIKE)
        return self.meant[near[0]] if near else None

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, imported and made now; None where there is none of this name."""
        if cmd_name not in self.homes:
            # What Typer chooses its "Did you mean" from.
            self.commands = {name: self.get_command(ctx, name) for name in self.homes}
            return None
        module, _, attribute = self.homes[cmd_name].partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            return get_command(found)
        alone = typer.Typer(**_PLAIN)
        alone.command(cmd_name)(guarded(found))
        return get_command(alone)


def make_group(commands: type[LazyGroup], help: str) -> typer.Typer:
    """A group below `facecli`."""
    made = typer.Typer(cls=commands, help=help, invoke_without_command=True, **_PLAIN)
    made.callback()(help_without_command)
    return made


def help_without_command(ctx: typer.Context) -> None:
    """A group called without a command shows its help, and has been used wrongly."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help(), err=True)
        raise typer.Exit(UsageError.exit_code)
