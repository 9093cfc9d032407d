"""Every file and folder that a command takes is declared as read or written."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
import typer
from support.commands import all_commands

from facecli.cli.paths import Input, Output, guarded
from facecli.common.errors import InputError, UsageError

NAMED = {"FILE", "DIR", "PATH", "PHOTOS", "FOLDER", "PAIRS", "FROM", "TO"}
OTHERS = {"scheduler", "url"}  # addresses


def parameters() -> Iterator[tuple[str, inspect.Parameter]]:
    for words, command in all_commands():
        if (
            command.callback is not None
            and words
            and words[-1] not in ("gallery", "group", "models")
        ):
            function = inspect.unwrap(command.callback)
            for parameter in inspect.signature(function, eval_str=True).parameters.values():
                yield " ".join(words), parameter


def is_path(annotation: object) -> bool:
    plain, *facts = typing.get_args(annotation) if hasattr(annotation, "__metadata__") else (
        annotation, None
    )  # fmt: skip
    metavars = {str(getattr(fact, "metavar", "")).strip("[]") for fact in facts}
    kinds = {plain, *typing.get_args(plain), *(
        inner for part in typing.get_args(plain) for inner in typing.get_args(part)
    )}  # fmt: skip
    return Path in kinds or bool(metavars & NAMED)


def test_each_path_is_declared() -> None:
    found = [(c, p) for c, p in parameters() if is_path(p.annotation) and p.name not in OTHERS]
    assert len(found) > 50
    bare = [
        (command, p.name)
        for command, p in found
        if not any(isinstance(f, Input | Output) for f in getattr(p.annotation, "__metadata__", ()))
    ]
    assert bare == []


def test_what_writes_is_known() -> None:
    """A new output belongs into tests/hostile/test_outputs.py."""
    written = {
        (command, p.name)
        for command, p in parameters()
        if any(isinstance(f, Output) for f in getattr(p.annotation, "__metadata__", ()))
    }
    assert written == {
        ("identify", "annotate"), ("identify", "output"), ("watch", "annotate"),
        ("evaluate", "page"), ("evaluate", "plots"), ("demo", "folder"),
        ("gallery audit", "page"), ("gallery backup", "file"), ("gallery export", "file"),
        ("group PHOTOS", "page"), ("group export", "folder"), ("gallery re-embed", "to"),
        ("gallery key", "where"), ("gallery purge", "receipt"),
        # These need torch: tests/training/test_train.py
        ("train run", "out"), ("train run", "resume"), ("train run", "page"),
        ("train curves", "plots"), ("train picture", "plots"), ("train crops", "folder"),
    }  # fmt: skip


def test_a_command_with_an_output_does_not_begin_where_something_would_be_lost(
    tmp_path: Path,
) -> None:
    begun = []

    def command(out: Annotated[Path, typer.Option("--out"), Output()], force: bool = False) -> None:
        begun.append(out)

    command.__globals__.update(Annotated=Annotated, Path=Path, typer=typer, Output=Output)
    (tmp_path / "there").write_text("mine")
    with pytest.raises(UsageError, match=r"^--out .*there is there already"):
        guarded(command)(out=tmp_path / "there", force=False)
    assert begun == []
    guarded(command)(out=tmp_path / "there", force=True)
    guarded(command)(out=tmp_path / "new")
    assert begun == [tmp_path / "there", tmp_path / "new"]


def test_a_url_is_named_as_such_before_the_work() -> None:
    begun = []

    def command(
        file: Annotated[Path, typer.Option("--report"), Input.PHOTOS],
        photos: Annotated[list[Path] | None, typer.Argument(), Input.PHOTOS] = None,
    ) -> None:
        begun.append(file)

    command.__globals__.update(Annotated=Annotated, Path=Path, typer=typer, Input=Input)
    with pytest.raises(InputError, match=r"^--report https://x.org/a.csv is a URL: nothing is"):
        guarded(command)(file=Path("https://x.org/a.csv"))
    assert begun == []
    guarded(command)(file=Path("a.csv"), photos=[Path("https://x.org/a.jpg")])  # has its own row
    assert begun == [Path("a.csv")]
