"""The names that `facecli` itself offers."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import facecli

HOME_OF = facecli._HOME_OF


@pytest.mark.parametrize("name", HOME_OF)
def test_a_name_is_the_one_of_its_module(name: str) -> None:
    found = getattr(facecli, name)
    assert found is getattr(import_module(HOME_OF[name]), name)
    assert (found.__module__, found.__name__) == (HOME_OF[name], name)


def test_a_type_checker_sees_the_same_names() -> None:
    tree = ast.parse(Path(facecli.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    seen = {alias.asname: node.module for node in imports for alias in node.names if alias.asname}
    assert seen == HOME_OF | {"__version__": "facecli.common.version"}


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="galery"):
        facecli.galery  # noqa: B018
    assert not set(HOME_OF) - set(dir(facecli))
