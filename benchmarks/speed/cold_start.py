"""What a user waits for at a prompt, each beside what no program of this kind can do without.

    python -m benchmarks.speed.cold_start [PHOTO] [--runs 15]

`identify` of one photo against galleries of made-up people, as a table and as JSON, beside
importing numpy, cv2 and onnxruntime; `--help` beside importing typer. What the work itself takes,
with no command line and no gallery around it, bare.py shows. New processes, files in the page
cache, optimised graphs in facecli's cache, bytecode beside the modules as pip leaves it. Each pair
runs in turn, so that a busy machine slows both; shown are the medians and the median of the
pairs' ratios. The photo is by default a public-domain portrait (of matplotlib's), enlarged to 3
megapixels.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import cv2
import onnxruntime

from benchmarks.scale import synthetic
from benchmarks.speed.timing import Row, table
from facecli.recognition.model_zoo import registry
from facecli.recognition.model_zoo.specs import EmbedderSpec

FACECLI = (sys.executable, "-m", "facecli")
IMPORTS = (sys.executable, "-c", "import numpy, cv2, onnxruntime")
TYPER = (sys.executable, "-c", "import typer")
HERE = Path(__file__).parent
SIZES = (1_000, 10_000)
PIXELS = 3_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path, nargs="?")
    parser.add_argument("--runs", type=int, default=15, help="pairs; the first is not counted")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photo = args.photo or enlarged_portrait(Path(folder) / "portrait.jpg")
        print(table(rows(photo, Path(folder), args.runs)))
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")


def rows(photo: Path, folder: Path, runs: int) -> Iterator[Row]:
    """One for `--help`, two for each size of gallery. `folder` is left with what was made."""
    os.environ["FACECLI_HOME"] = str(folder)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every run may compile facecli
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    yield compared("--help", (*FACECLI, "--help"), TYPER, runs)
    for size in SIZES:
        gallery = folder / f"{size}.facecli"
        synthetic.gallery(gallery, size, spec.dimension, spec.embedder_id)
        identify = (*FACECLI, "identify", str(photo), "--gallery", str(gallery))
        name = f"cold identify, {size:,} references"
        yield compared(name, identify, IMPORTS, runs)
        yield compared(f"{name}, --json", (*identify, "--json"), IMPORTS, runs)
    bare = by_hand(photo, folder, spec)
    yield compared("the same libraries by hand", bare, IMPORTS, runs)
    yield compared(name, identify, bare, runs)


def by_hand(photo: Path, folder: Path, spec: EmbedderSpec) -> Sequence[str]:
    """bare.py's command, with what it needs written to `folder`: graphs optimised, templates."""
    graphs = []
    for name, model in (("detector", registry.find_detector()), ("embedder", spec)):
        graphs.append(str(folder / f"{name}.ort"))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # that they fit this machine alone is meant
        options.optimized_model_filepath = graphs[-1]
        options.add_session_config_entry("session.save_model_format", "ORT")
        onnxruntime.InferenceSession(registry.read_verified(model), options)
    templates = folder / "templates.f32"
    synthetic.people(SIZES[-1], spec.dimension, 1).tofile(templates)
    return (sys.executable, str(HERE / "bare.py"), str(photo), *graphs, str(templates))


def enlarged_portrait(path: Path) -> Path:
    """Grace Hopper at 3 megapixels, without importing the package that carries her."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise SystemExit("name a photo, or pip install 'facecli[demo]' for one")
    small = cv2.imread(str(Path(spec.origin).parent / "mpl-data/sample_data/grace_hopper.jpg"))
    scale = (PIXELS / (small.shape[0] * small.shape[1])) ** 0.5
    large = cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(path), large, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return path


def compared(name: str, ours: Sequence[str], floor: Sequence[str], runs: int) -> Row:
    """The medians of both, and of the pairs' ratios."""
    pairs = [(wall(ours), wall(floor)) for _ in range(runs + 1)][1:]
    mine, other = (1000 * median(times) for times in zip(*pairs, strict=True))
    ratio = median(a / b for a, b in pairs)
    what = f"python -c '{floor[-1]}'" if floor[1] == "-c" else "bare.py"
    return name, f"{mine:.0f} ms", f"{other:.0f} ms", what, f"{ratio:.2f}"


def wall(command: Sequence[str]) -> float:
    """Seconds that a process takes, its start included. Raises where it fails."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
