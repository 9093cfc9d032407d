"""Files that others name."""

from __future__ import annotations

from pathlib import Path

import pytest

from facecli.common.files import is_url, not_there


@pytest.mark.parametrize("url", ["https://x.org/a.jpg", "HTTP://x/a", "s3://b/k", "data:image/png"])
def test_a_url_is_named_as_such(url: str) -> None:
    assert is_url(Path(url))
    assert "a URL: nothing is fetched" in not_there(Path(url))


def test_a_file_url_is_a_path_with_something_before_it() -> None:
    assert "without file://" in not_there(Path("file:///tmp/a.jpg"))


@pytest.mark.parametrize("path", ["a.jpg", "C:/a.jpg", "http/a.jpg", "12:30/https.jpg"])
def test_other_paths_are_none(path: str) -> None:
    assert not is_url(Path(path))
    assert not_there(Path(path)) == "check the spelling of the path"
