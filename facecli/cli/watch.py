"""`facecli watch`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecli.cli.clips import EveryOption
from facecli.cli.identify import FpirOption, TopOption
from facecli.cli.options import (
    DetectorOption,
    DeviceOption,
    GalleryOption,
    KeyOption,
    ModelOption,
    QualityOption,
    QuietOption,
    ThresholdOption,
    WorkersOption,
    at_most_one,
    note,
    open_gallery,
    output_format,
    quality_bar,
)
from facecli.cli.paths import Output
from facecli.cli.pictures import faces_saved, folder_for_pictures
from facecli.common.enums import DetectorName, Device

if TYPE_CHECKING:
    pass

SourceArgument = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="A camera's number, as 0, or rtsp://, http://, ..."),
]
LongestOption = Annotated[
    float | None,
    typer.Option(
        "--longest", min=1, metavar="SECONDS",
        help="Who stays is answered after so long, and again; 60 by default.",
    ),
]  # fmt: skip
ForOption = Annotated[
    float | None, typer.Option("--for", min=0, metavar="SECONDS", help="End after so long.")
]
SilenceOption = Annotated[
    float | None,
    typer.Option(
        "--silence", min=0.1, metavar="SECONDS",
        help="Open the source again when it sends nothing for so long; 10 by default.",
    ),
]  # fmt: skip
FacesFolderOption = Annotated[
    Path | None,
    typer.Option("--annotate", metavar="DIR", help="Write the best face of everybody seen."),
    Output(folder=True),
]


def watch(
    source: SourceArgument,
    gallery: GalleryOption = None,
    key_file: KeyOption = None,
    top: TopOption = 5,
    threshold: ThresholdOption = None,
    target_fpir: FpirOption = None,
    min_quality: QualityOption = None,
    every: EveryOption = None,
    longest: LongestOption = None,
    silence: SilenceOption = None,
    end_after: ForOption = None,
    annotate: FacesFolderOption = None,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object a track.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="One CSV row a track.")] = False,
    model: ModelOption = None,
    device: DeviceOption = Device.AUTO,
    detector: DetectorOption = DetectorName.YUNET,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
) -> None:
    """Who is before this camera? A row for everybody, once they have left or stay for long.

    A source that stalls or drops is opened again, and stderr says so. Ctrl-C or SIGTERM ends it:
    who is still on screen is answered first.
    """
    from facecli.gallery.watch import LONGEST, Watching
    from facecli.report.decisions import decisions_text, track_line
    from facecli.report.formats import OutputFormat
    from facecli.video.frames import EVERY
    from facecli.video.live import SILENCE, source_of

    where = source_of(source)
    form = output_format(False, as_jsonl, as_csv)
    at_most_one({"--threshold": threshold, "--target-fpir": target_fpir})
    if annotate is not None:
        folder_for_pictures(annotate)
    how = Watching(
        EVERY if every is None else every, LONGEST if longest is None else longest,
        SILENCE if silence is None else silence, workers,
    )  # fmt: skip
    with (
        _until_told(end_after) as stop,
        open_gallery(gallery, key_file, model, device, detector) as opened,
    ):
        decisions = opened.watch(
            where, stop, top=top, threshold=threshold, fpir=target_fpir,
            min_quality=quality_bar(min_quality), how=how, note=lambda line: note(line, quiet),
        )  # fmt: skip
        if annotate is not None:
            decisions = faces_saved(decisions, annotate)
        if form is OutputFormat.TABLE:
            lines: Iterable[str] = map(track_line, decisions)
        else:
            lines = decisions_text(decisions, form)
        for line in lines:
            typer.echo(line)


@contextmanager
def _until_told(seconds: float | None) -> Iterator[threading.Event]:
    """Set by Ctrl-C, by SIGTERM, or after so long; then a second Ctrl-C ends it at once."""
    stop = threading.Event()

    def told(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
    timer = threading.Timer(seconds, stop.set) if seconds is not None else None
    try:
        if timer is not None:
            timer.start()
        yield stop
    finally:
        stop.set()
        if timer is not None:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
