"""Results to one self-contained HTML page: no script, no request, everything escaped.

Importing this raises UsageError without Jinja2, so that it shows before any work is done.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from facecli.common import outputs
from facecli.common.errors import UsageError

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup, escape
except ImportError as missing:
    raise UsageError("a report needs an optional extra: pip install 'facecli[report]'") from missing

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Figure:
    """One that matters. what: goes on from the value. beside: counts, in small print."""

    value: str
    what: str
    beside: str = ""


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
        finalize=_whole_rates,
    )
    pages.filters["breakable"] = breakable
    return pages.get_template(template).render(context)


def _whole_rates(value: object) -> object:
    """No line ends within `95 %`."""
    return value.replace(" %", "\N{NO-BREAK SPACE}%") if isinstance(value, str) else value


def breakable(text: str) -> Markup:
    """Escaped, and a line may end after each `_`, `-` and `/`: so that no word need be broken."""
    return Markup(re.sub(r"([_/-])", r"\1<wbr>", str(escape(text))))


def data_uri(picture: bytes) -> str:
    """PNG or JPEG bytes as the source of an <img>."""
    kind = "png" if picture.startswith(PNG) else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"
