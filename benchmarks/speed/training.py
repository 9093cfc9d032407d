"""How long `facecli train` takes, and the picture; features included, crops kept from before.

    python -m benchmarks.speed.training PEOPLE [--strangers DIR] [--device cpu]

On a CPU `head` must take 10 s at most and `last` 60 s for 2,300 photos, the picture 30 s, on an
idle machine. Beside it stands what no training can do without: one template of each photo, by the
shipped embedder on all processors. With --device cuda `all` is timed in mixed precision, with
images a second.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from facecli.common.enums import Device, Part
from facecli.common.parallel import BATCH, ordered
from facecli.datasets.labels import labelled
from facecli.recognition.model_zoo import registry
from facecli.recognition.pipeline import Extractor
from facecli.training import picture
from facecli.training.loop import RATES, Recipe
from facecli.training.train import CROPS, Sources, train

LIMITS = {Part.HEAD: 10.0, Part.LAST: 60.0}  # s, on a CPU, for 2,300 photos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=Path)
    parser.add_argument("--strangers", type=Path)
    parser.add_argument("--device", type=Device, choices=(Device.CPU, Device.CUDA), default="cpu")
    args = parser.parse_args()
    sources = Sources((args.people,), strangers=(args.strangers,) if args.strangers else ())
    parts = [Part.ALL] if args.device is Device.CUDA else [Part.HEAD, Part.LAST]
    with tempfile.TemporaryDirectory() as made:
        out = Path(made)
        for part in (parts[0], *parts):  # once to make the crops
            for file in out.iterdir():
                if file.name != CROPS:
                    file.unlink()
            recipe = replace(Recipe(), part=part, lr=RATES[part])
            began = time.monotonic()
            done = train(
                sources, "timed", recipe, out, registry.find_embedder(), device=args.device
            )
            took = time.monotonic() - began
            steps = done.photos * (len(done.epochs) - 1)
            limit = f", at most {LIMITS[part]:.0f} s for 2,300 photos" if part in LIMITS else ""
            print(f"{part}: {took:.1f} s for {done.photos:,} photos trained on{limit}; "
                  f"{steps / took:,.0f} images a second, all in all")  # fmt: skip
        with np.load(out / CROPS) as file:
            crops = file["crops"][:, 0]
    extractor = Extractor.load(registry.find_embedder(), Device.CPU)
    began = time.monotonic()
    for _ in ordered(extractor.embedder.embed, np.array_split(crops, -(-len(crops) // BATCH))):
        pass
    took = time.monotonic() - began
    print(f"a template of each of all {len(crops):,} photos: {took:.1f} s, "
          f"{took / len(crops) * 2300:.1f} s for 2,300")  # fmt: skip
    photos = picture.chosen(labelled([args.people]).photos, 8)
    began = time.monotonic()
    picture.picture(extractor, photos)
    print(f"picture: {time.monotonic() - began:.1f} s, at most 30 s")


if __name__ == "__main__":
    main()
