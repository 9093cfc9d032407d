"""Several processes learn together what one learns, and what goes wrong in one ends them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="NOT CHECKED: pip install 'facecli[train]'")
pytest.importorskip("lightning_fabric", reason="NOT CHECKED: pip install 'facecli[train]'")

import torch
from support.hungry import Hungry
from support.made_up_people import made_up_crops, spec_of
from support.networks import iresnet

from facecli.common.enums import Device, LossName, Part
from facecli.common.errors import DeviceError, InputError, OutputError, UsageError
from facecli.training import losses, people
from facecli.training.devices import Job, carried_out
from facecli.training.inputs import make_inputs
from facecli.training.loop import Epoch, Recipe
from facecli.training.losses import Margin
from facecli.training.network import divide

pytestmark = pytest.mark.training

RECIPE = Recipe(margin=Margin(scale=16, m2=0.2), epochs=3, lr=0.01, batch=16)
Make = Callable[[str], Job]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A job on made-up people, by the name of its checkpoint."""
    folder = tmp_path_factory.mktemp("jobs")
    content = iresnet(width=4)
    spec = spec_of(folder / "base.onnx", content)
    crops = made_up_crops(people=40, each=3, strangers=300)
    groups = people.people(crops.photos, range(len(crops.photos)))
    parts = people.split(groups, crops.good.tolist(), {}, {}, 0)
    inputs = make_inputs(divide(content, Part.LAST).front, spec, crops)

    def made(name: str) -> Job:
        return Job(
            divide(content, Part.LAST).module,
            inputs,
            parts,
            crops.found,
            RECIPE,
            "key",
            folder / name,
            False,
            resume=False,
        )

    return made


@pytest.mark.parametrize("loss", [LossName.ARCFACE, LossName.CENTER, LossName.TRIPLET])
def test_two_processes_learn_what_one_learns(loss: LossName, make: Make) -> None:
    margin = replace(losses.MARGINS.get(loss, Margin(m2=0.35)), scale=16)
    recipe = replace(RECIPE, loss=loss, margin=margin, lr=0.003)
    told: list[list[int]] = [[], []]
    alone, together = (
        carried_out(
            replace(make(f"{loss}{count}.pt"), recipe=recipe), Device.CPU, count,
            lambda epoch, seen=seen: seen.append(epoch.number),
        )
        for count, seen in zip((1, 2), told, strict=True)
    )  # fmt: skip
    assert told[0] == told[1] == [epoch.number for epoch in together.epochs] == [0, 1, 2, 3]
    first = [one.epochs[1] for one in (alone, together)]
    last = [torch.load(make(f"{loss}{n}.pt").checkpoint, weights_only=True) for n in (1, 2)]
    states = [np.concatenate([t.numpy().ravel() for t in s["module"].values()]) for s in last]
    moved = [np.abs(state - base_of(make)).max() for state in states]
    assert min(moved) > 0.001
    if loss is not LossName.TRIPLET:  # of a share the hardest others are not those of the batch
        assert first[1].loss == pytest.approx(first[0].loss, rel=0.02)
        assert first[1].target_angle == pytest.approx(first[0].target_angle, abs=0.5)
        assert np.abs(states[0] - states[1]).max() < 0.5 * moved[0]


def base_of(make: Make) -> np.ndarray:
    state = make("").module.state_dict()
    return np.concatenate([tensor.numpy().ravel() for tensor in state.values()])


def test_a_run_of_two_goes_on_as_one_and_the_other_way_round(make: Make) -> None:
    job = make("handed.pt")
    carried_out(replace(job, recipe=replace(RECIPE, epochs=1)), Device.CPU, 2)
    seen: list[Epoch] = []
    done = carried_out(replace(job, resume=True), Device.CPU, 1, seen.append)
    assert [epoch.number for epoch in seen] == [2, 3]
    more = replace(job, resume=True, recipe=replace(RECIPE, epochs=4))
    assert len(carried_out(more, Device.CPU, 2).epochs) == len(done.epochs) + 1


def test_what_goes_wrong_in_one_process_ends_all_in_its_own_words(
    make: Make, tmp_path: Path
) -> None:
    job = make("wrong.pt")
    with pytest.raises(OutputError, match="cannot be written"):
        carried_out(replace(job, checkpoint=tmp_path / "not" / "there.pt"), Device.CPU, 2)
    with pytest.raises(InputError, match="no run to resume"):
        carried_out(replace(job, resume=True), Device.CPU, 2)


def test_a_process_that_is_killed_ends_the_others_and_the_run_goes_on(make: Make) -> None:
    job = make("killed.pt")

    def kill(epoch: Epoch) -> None:
        if epoch.number == 1:
            active_children()[0].kill()

    with pytest.raises(DeviceError, match="--resume"):
        carried_out(replace(job, recipe=replace(RECIPE, epochs=50)), Device.CPU, 2, kill)
    assert active_children() == []
    seen: list[Epoch] = []
    carried_out(
        replace(job, resume=True, recipe=replace(RECIPE, epochs=4)), Device.CPU, 1, seen.append
    )
    assert all(epoch.number > 1 for epoch in seen)


@pytest.mark.parametrize("count", [1, 2])
def test_too_little_memory_on_a_gpu_is_told_in_a_line(count: int, make: Make) -> None:
    job = make(f"hungry{count}.pt")
    with pytest.raises(DeviceError, match=r"memory does not suffice: .* smaller --batch than 16"):
        carried_out(replace(job, module=Hungry(job.module)), Device.CPU, count)
    assert active_children() == []
    assert job.checkpoint.exists(), "with epoch 0"


@pytest.mark.parametrize("batch", [2, 5])
def test_a_batch_that_is_too_small_to_share_is_refused(batch: int, make: Make) -> None:
    job = make("small.pt")
    with pytest.raises(UsageError, match=f"--devices 3 takes a --batch .* there are {batch}"):
        carried_out(replace(job, recipe=replace(RECIPE, batch=batch)), Device.CPU, 3)
    assert not job.checkpoint.exists()
