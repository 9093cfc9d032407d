"""Options about clips that several commands share, and how far through one it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facecli.common.errors import UsageError

if TYPE_CHECKING:
    from facecli.video.frames import Frame, Sampling


class FramesRule(StrEnum):
    """Which frames of an animated photo are looked at."""

    FIRST = "first"
    ALL = "all"


EveryOption = Annotated[
    float | None,
    typer.Option(
        "--every", min=0, metavar="SECONDS",
        help="Of a clip look at a frame every so often; 0.2 by default, 0 looks at all.",
    ),
]  # fmt: skip
KeyFramesOption = Annotated[
    bool,
    typer.Option(
        "--key-frames", help="Of a clip only frames that stand alone in it: much quicker."
    ),
]
FramesOption = Annotated[
    FramesRule, typer.Option("--frames", help="Of an animated GIF, WebP, PNG or AVIF.")
]


def sampling(
    every: float | None, key_frames: bool = False, rule: FramesRule = FramesRule.FIRST
) -> Sampling:
    """What the options of these names ask for. Raises UsageError where an extra is missing."""
    from facecli.video import frames

    if key_frames and not frames.has_pyav():
        raise UsageError(f"--key-frames needs the extra: {frames.NEEDS_PYAV}")
    span = frames.EVERY if every is None else every
    return frames.Sampling(span, key_frames, rule is FramesRule.ALL)


@contextmanager
def clip_progress(quiet: bool) -> Iterator[Callable[[Frame], object]]:
    """Call it once a frame: how far through its clip that is, on stderr, only on a terminal."""
    bars = list[Any]()

    def step(frame: Frame) -> None:
        if not bars:
            bars.append(_bar(quiet))
        (bar,) = bars
        if frame.seconds < bar.n:  # the next clip
            bar.reset()
        bar.total = max(frame.length, frame.seconds) or None  # None: its length is not known
        bar.update(frame.seconds - bar.n)

    try:
        yield step
    finally:
        for bar in bars:
            bar.close()


def _bar(quiet: bool) -> Any:
    from tqdm import tqdm  # photos do without

    layout = "{percentage:3.0f} % of the clip, {elapsed} gone, {remaining} left"
    return tqdm(total=1.0, leave=False, disable=True if quiet else None, bar_format=layout)
