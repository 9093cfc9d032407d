"""What a training would do: who is for what, how long it takes, how much memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facecli.common.enums import Device, Part
from facecli.common.names import name_key
from facecli.datasets.labels import labelled
from facecli.recognition import alignment
from facecli.recognition.model_zoo.specs import EmbedderSpec
from facecli.recognition.pipeline import Extractor
from facecli.training import network, people
from facecli.training.crops import LOOKS, Crops, acquire
from facecli.training.inputs import make_inputs
from facecli.training.loop import Recipe
from facecli.training.people import Split
from facecli.training.train import Sources

TIMED = 8  # photos that time is estimated from
MOST_TIMED = 64  # faces of the step that is timed


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """people, photos: in PEOPLE. split: by the files alone, before any is looked into: photos
    without a face change it. trained, weights: numbers in the network. seconds: an estimate, on
    this machine as busy as it is now. memory: bytes, of crops and features.
    """

    people: int
    photos: int
    split: Split
    trained: int
    weights: int
    seconds: float
    memory: int


def preview(sources: Sources, recipe: Recipe, base: EmbedderSpec) -> Preview:
    """Nothing is written. Raises as `train` does, where the files show it already."""
    import torch

    own, judges, strangers = (
        labelled(list(paths)).photos if paths else ()
        for paths in (sources.people, sources.judges, sources.strangers)
    )
    every = (*own, *judges, *strangers)
    rows = np.arange(len(every))
    ends = np.cumsum([len(own), len(judges), len(strangers)])
    groups = [people.people(every, some) for some in np.split(rows, ends[:-1])]
    usable = [True] * len(every)
    twice = usable if sources.camera else None
    split = people.split(groups[0], usable, groups[1], groups[2], recipe.seed, twice)
    divided = network.divide(base.path.read_bytes(), recipe.part)
    extractor = Extractor.load(base, Device.CPU)
    timed = every[:TIMED]
    each = _seconds(lambda: acquire(extractor, timed)) / len(timed)
    size = alignment.CROP_SIZE
    looks = LOOKS if sources.camera else 0
    black = np.zeros((TIMED, 1 + looks, size, size, 3), np.uint8)
    crops = Crops((own * TIMED)[:TIMED], (), black, np.ones(TIMED, bool),
                  np.ones((TIMED, looks), bool), ())  # fmt: skip
    front = _seconds(lambda: make_inputs(divided.front, base, crops)) / TIMED
    inputs = make_inputs(divided.front, base, crops)
    batch = np.arange(min(recipe.batch, MOST_TIMED)) % TIMED
    values = torch.from_numpy(inputs.take(batch, np.zeros_like(batch), batch < 0))
    step = _seconds(lambda: divided.module(values).sum().backward()) / len(batch)
    panel = len(split.select.probes) + len(split.select.strangers)
    epoch = step * ((2 if looks else 1) * len(split.train) + panel)
    per_row = inputs.values[0].nbytes if recipe.part is not Part.ALL else 0
    return Preview(
        len({name_key(photo.subject) for photo in own}), len(own), split,
        divided.trained, divided.weights,
        each * (1 + looks) * len(every) + front * len(every) + epoch * recipe.epochs,
        (black[0].nbytes + per_row) * len(every),
    )  # fmt: skip


def _seconds(work: Callable[[], object]) -> float:
    """That it takes the second time: what is done but once does not count for each photo."""
    work()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
