"""Results to one self-contained HTML page: no script, no request, everything escaped.

Importing this raises UsageError without Jinja2, so that it shows before any work is done.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from facecli.common import outputs
from facecli.common.errors import UsageError

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
except ImportError as missing:
    raise UsageError("a report needs an optional extra: pip install 'facecli[report]'") from missing

PNG = b"\x89PNG\r\n\x1a\n"


def save(page: str, path: Path, *, force: bool = False) -> None:
    """Write a page, readable by its owner only: it shows faces. Raises as `outputs.judge`."""
    outputs.write(path, page.encode(), force=force)


def render(template: str, context: Mapping[str, object]) -> str:
    """The page made of `template`, a file name in `report/templates`.

    Values are escaped, pictures go in through `data_uri`. A name the context lacks raises
    jinja2.UndefinedError rather than leaving a gap.
    """
    pages = Environment(
        loader=PackageLoader("facecli.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template(template).render(context)


def data_uri(picture: bytes) -> str:
    """PNG or JPEG bytes as the source of an <img>."""
    kind = "png" if picture.startswith(PNG) else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"
