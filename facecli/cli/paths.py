"""What each file and folder that a command is given is to it, said once, in its annotation.

    page: Annotated[Path | None, typer.Option("--report", ...), Output(stdout=True)] = None

`guarded` reads these and judges every output before the command begins.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import wraps
from pathlib import Path
from typing import Any

from facecli.common.errors import InputError, OutputError, UsageError


class Input(Enum):
    """PHOTOS: photos, folders and tables of them, models, exports: what people made, and is read.

    GALLERY: one that is opened; a new one is made where nothing is. KEY: a key's file, or
    `keyring`.
    """

    PHOTOS = auto()
    GALLERY = auto()
    KEY = auto()


@dataclass(frozen=True, slots=True)
class Output:
    """What is written. stdout: `-` means that; folder: files go into it, all with new names.

    new: `--force` replaces nothing there, and the command has none. judged: what `--force` may
    replace is judged by the command itself, before its work, too.
    """

    stdout: bool = False
    folder: bool = False
    new: bool = False
    judged: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """A path as it was given. name: of its option, empty for an argument.

    of_many: one of several; what is wrong with it is said in its own row.
    """

    role: Input | Output
    name: str
    path: Path
    of_many: bool = False


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """The same command, which begins only where nothing is lost by what it is to write."""

    @wraps(command)
    def judged(**values: Any) -> None:
        _judge(list(given(command, values)), values)
        command(**values)

    return judged


def given(command: Callable[..., object], values: Mapping[str, Any]) -> Iterator[Given]:
    """The files and folders among the values of a command's parameters."""
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        facts = getattr(parameter.annotation, "__metadata__", ())
        role = next((fact for fact in facts if isinstance(fact, Input | Output)), None)
        value = values.get(name)
        if role is None or value is None or _is_keyring(value):
            continue
        option = next((_option(fact) for fact in facts if _option(fact)), "")
        many = isinstance(value, list)
        for path in value if many else [value]:
            yield Given(role, option, Path(path), many)


def _is_keyring(value: object) -> bool:
    """Whether a key's place is no file."""
    if not isinstance(value, str):
        return False
    from facecli.storage.keys import KEYRING

    return value.partition(":")[0] == KEYRING


def _option(fact: object) -> str:
    """The first of an option's names; empty for an argument. In an annotation it is `default`."""
    first = getattr(fact, "default", None)
    return first if isinstance(first, str) else ""


def _judge(paths: list[Given], values: Mapping[str, Any]) -> None:
    for found in paths:
        if found.role is Input.PHOTOS and not found.of_many:
            _refuse_url(found)
    outputs = [found for found in paths if isinstance(found.role, Output)]
    if outputs:
        reads = [found.path for found in paths if isinstance(found.role, Input)]
        photos = [found.path for found in paths if found.role is Input.PHOTOS]
        gallery = _gallery(paths, values)
        force = bool(values.get("force") or values.get("append"))  # what is there may stay, too
        for output in outputs:
            try:
                _judge_one(output, reads, photos, gallery, force)
            except (UsageError, OutputError) as error:
                raise type(error)(f"{output.name} {error}".lstrip()) from error
        if len({found.path for found in outputs}) < len(outputs):
            raise UsageError(f"{outputs[0].path} is named for two outputs: name another for one")


def _refuse_url(given: Given) -> None:
    from facecli.common.files import is_url, not_there

    if is_url(given.path) and not given.path.exists():
        shown = str(given.path).replace(":/", "://", 1)  # a Path makes one stroke of two
        raise InputError(f"{given.name} {shown} is {not_there(given.path)}".lstrip())


def _judge_one(
    output: Given, reads: list[Path], photos: list[Path], gallery: Path | None, force: bool
) -> None:
    from facecli.common import outputs

    role, path = output.role, output.path
    assert isinstance(role, Output)
    if path == outputs.STDOUT:
        if not role.stdout:
            raise UsageError("- is stdout, where this cannot be written: name another")
        return
    if role.folder:
        outputs.judge_folder(path, photos)
        return
    if gallery is not None and _belongs(path, gallery):
        raise UsageError(f"{path} is the gallery itself, or belongs to it: name another file")
    outputs.judge(
        path, force=None if role.new else force, reads=reads,
        kept=outputs.anything if role.judged else outputs.unless_text,
    )  # fmt: skip


def _gallery(paths: list[Given], values: Mapping[str, Any]) -> Path | None:
    """The file of the gallery that the command opens; None where it opens none."""
    named = [found.path for found in paths if found.role is Input.GALLERY]
    if named or "gallery" not in values:
        return named[0] if named else None
    from facecli.common.places import default_gallery

    return default_gallery()


def _belongs(path: Path, gallery: Path) -> bool:
    from facecli.storage.sqlite.files_beside import is_reserved

    try:
        if path.samefile(gallery):
            return True
    except (OSError, ValueError):
        pass  # one of them is not there
    try:
        path, gallery = path.parent.resolve() / path.name, gallery.resolve()
    except (OSError, ValueError, RuntimeError):  # the last, until Python 3.12: links in a ring
        return False
    return is_reserved(path, gallery)
