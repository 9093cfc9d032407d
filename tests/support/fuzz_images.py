"""Damaged photos through `images.decode_view`: it must give pixels or a failure, and soon.

    python tests/support/fuzz_images.py --runs 200000      mutations drawn with a seed
    python tests/support/fuzz_images.py --atheris --seconds 300
                                     led by coverage (pip install atheris)

Ends with code 1 at the first input that raises, is answered with anything else, or takes longer
than SLOWEST; it is kept in --keep. A crash of a native decoder ends the program: with the same
seed it comes back at the same run, whose number was the last to be printed.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from facecli.common.types import FailureToAcquire
from facecli.recognition import images

MAX_PIXELS = 1 << 20
SLOWEST = 10.0  # s of processor time an input
EVERY = 10_000  # runs between two lines of progress
TELLING = (b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\0\0\0\1", b"Exif\0\0")
FORMS = (
    ("JPEG", {"quality": 60}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("GIF", {}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "jpeg"}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"quality": 50}),
    ("AVIF", {}),
)


def seeds() -> list[bytes]:
    """Small sound photos of every format and of the kinds of samples there are."""
    ramp = np.add.outer(np.arange(24), np.arange(20)) * 5
    colour = Image.fromarray(np.stack([ramp, ramp[::-1], ramp[:, ::-1]], -1).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    found = [_saved(colour, form, exif=exif, **options) for form, options in FORMS]
    for mode in ("L", "P", "RGBA", "1", "I;16", "I", "F"):
        found.append(
            _saved(colour.convert("L").convert(mode), "TIFF" if mode in ("I", "F") else "PNG")
        )
    found.append(_saved(colour.convert("CMYK"), "JPEG"))
    frames = [colour.rotate(90), colour.rotate(180)]
    found += [
        _saved(colour, f, save_all=True, append_images=frames) for f in ("GIF", "WEBP", "PNG")
    ]
    return found


def mutants(seed: int) -> Iterator[bytes]:
    """Endless: a seed photo with one to eight changes, or two of them joined."""
    draw, sound = random.Random(seed), seeds()
    while True:
        data = bytearray(draw.choice(sound))
        if draw.random() < 0.1:
            other = draw.choice(sound)
            data[draw.randrange(len(data)) :] = other[draw.randrange(len(other)) :]
        for _ in range(draw.choice((1, 1, 2, 4, 8))):
            _change(data, draw)
        yield bytes(data)


def check(data: bytes) -> None:
    """Raise AssertionError, or whatever the decoder lets through, where the answer is none."""
    start = time.process_time()
    side = None if len(data) % 2 else 8  # half of them as large photos are read
    answer = images.decode_view(data, "fuzz", side, MAX_PIXELS)
    taken = time.process_time() - start
    if isinstance(answer, FailureToAcquire):
        assert answer.path == "fuzz" and answer.reason
    else:
        pixels = answer.image
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
        assert 0 < pixels.size <= 3 * MAX_PIXELS
    assert taken < SLOWEST, f"{taken:.1f} s"


def loop(runs: int, seed: int, tell: Callable[[str], object]) -> None:
    """Check so many mutants. Where one fails, the exception's notes hold its bytes."""
    for number, data in enumerate(islice(mutants(seed), runs)):
        if number % EVERY == 0:
            tell(f"run {number:,}")
        try:
            check(data)
        except BaseException as error:
            error.add_note(f"run {number} of seed {seed}, {len(data)} bytes: {data.hex()}")
            raise


def guided(seconds: int, keep: Path) -> None:
    """The same check, inputs chosen by the lines of Pillow that they reach; does not return."""
    import atheris

    atheris.instrument_all()
    corpus = Path(tempfile.mkdtemp(prefix="facecli-fuzz-"))
    for number, data in enumerate(seeds()):
        (corpus / f"{number}").write_bytes(data)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={keep}/", "-max_len=8192"]
    options += [f"-timeout={SLOWEST:.0f}", "-rss_limit_mb=2048", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], check)
    atheris.Fuzz()


def _saved(picture: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def _change(data: bytearray, draw: random.Random) -> None:
    """One change; half of them in the first 200 bytes, where headers are."""
    at = draw.randrange(max(1, min(len(data), 200) if draw.random() < 0.5 else len(data)))
    length = draw.choice((1, 2, 4, 16, 100))
    kind = draw.randrange(6)
    if kind == 0 and data:
        data[min(at, len(data) - 1)] ^= 1 << draw.randrange(8)
    elif kind == 1:
        data[at : at + length] = draw.randbytes(length)
    elif kind == 2:
        word = draw.choice(TELLING)
        data[at : at + len(word)] = word
    elif kind == 3:
        del data[at : at + length]
    elif kind == 4:
        data[at:at] = data[at : at + length]
    else:
        del data[at if draw.random() < 0.2 else len(data) :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--seconds", type=int, default=300, help="of --atheris")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-found"))
    parser.add_argument("--atheris", action="store_true", help="led by coverage")
    given = parser.parse_args()
    given.keep.mkdir(exist_ok=True)
    if given.atheris:
        guided(given.seconds, given.keep)
    start = time.monotonic()
    loop(given.runs, given.seed, lambda line: print(line, file=sys.stderr))
    print(f"{given.runs:,} executions in {time.monotonic() - start:.0f} s, nothing found")


if __name__ == "__main__":
    main()
