"""Typer without what it costs at start-up: 0.1 s of pydantic, and commands nobody called.

A command is made from its function when it is called, and one that stands in another module is
imported then. Values that need no more than their type are converted here; any other goes Typer's
own way, which imports pydantic and words the error.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_command_name

Function = TypeVar("Function", bound=Callable[..., Any])


class App(typer.Typer):
    """A group of commands, made and imported when they are called."""

    def __init__(self, name: str, help: str, epilog: str | None = None) -> None:
        self._later: dict[str, _Later] = {}
        super().__init__(
            name=name,
            help=help,
            epilog=epilog,
            cls=_group_of(self._later),
            no_args_is_help=True,
            add_completion=False,
            rich_markup_mode=None,  # costs 60 ms
            pretty_exceptions_enable=False,
            context_settings={"help_option_names": ["-h", "--help"]},
        )
        self.callback()(lambda: None)  # Typer knows a group by it, for it sees no command

    def command(  # type: ignore[override]  # the settings that no command here has are left out
        self, name: str | None = None
    ) -> Callable[[Function], Function]:
        """Make a command of the function, called as it is or `name`."""

        def register(function: Function) -> Function:
            known_as = name or get_command_name(function.__name__)
            self._later[known_as] = _Later(known_as, lambda: function)
            return function

        return register

    def add(self, name: str, module: str, attribute: str) -> None:
        """A command or group of another module: its function or App is called `attribute`."""
        self._later[name] = _Later(name, lambda: getattr(import_module(module), attribute))


class _Lean:
    """A command or group whose parameters, `--help` included, are converted by `_Plain`."""

    def get_params(self, ctx: Any) -> list[Any]:
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in parameters:
            # Where another Typer has no such attribute, this only does not make it faster.
            parameter._runtime_param = _Plain()
        return parameters


class _Command(_Lean, TyperCommand):
    """A whole command."""


def _group_of(later: dict[str, _Later]) -> type[TyperGroup]:
    """Typer makes the group itself, so it gets a class that knows the commands."""

    class Group(_Lean, TyperGroup):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.commands = {**later, **self.commands}

    return Group


class _Later(TyperCommand):
    """A command's name; the rest is made of its function, or its App, when that is needed."""

    def __init__(self, name: str, load: Callable[[], App | Callable[..., Any]]) -> None:
        super().__init__(name)
        self._load = load

    def get_short_help_str(self, limit: int = 45) -> str:
        """Its line in the group's help."""
        loaded = self._load()
        self.help = loaded.info.help if isinstance(loaded, App) else inspect.getdoc(loaded)
        return super().get_short_help_str(limit)

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """What Typer asks for to call it."""
        return self._whole().make_context(info_name, args, parent, **extra)

    @property
    def commands(self) -> dict[str, Any]:
        """Those of a group, for who walks through all of them."""
        return getattr(self._whole(), "commands", {})

    def _whole(self) -> Any:
        loaded = self._load()
        if isinstance(loaded, App):
            return get_command(loaded)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(self.name, cls=_Command)(loaded)
        return get_command(alone)


class _Plain:
    """What Typer asks to convert a value. Stateless."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value as its parameter's type, or as Typer has it where this is not plain."""
        settings, kind = param.type_descriptor.parameter_info, param.type_descriptor.annotation
        try:
            if get_origin(kind) is list:
                return [_plain(item, get_args(kind)[0], settings) for item in value or ()]
            return None if value is None else _plain(value, kind, settings)
        except ValueError:
            param._runtime_param = None
            return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def _plain(value: Any, kind: Any, settings: Any) -> Any:
    """The value as `kind`. Raises ValueError where it is none, or `kind` is not one of these."""
    simple = isinstance(kind, type) and issubclass(kind, str | Path | int | float | Enum)
    if not simple or kind is bool:
        raise ValueError(kind)
    made = kind(value)
    low, high = settings.min, settings.max
    if (low is not None and not made >= low) or (high is not None and not made <= high):
        raise ValueError(value)
    return made
