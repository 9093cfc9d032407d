"""Epochs: something is learnt, the best is kept, and a run that goes on is the same run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="NOT CHECKED: pip install 'facecli[train]'")
pytest.importorskip("onnx2torch", reason="NOT CHECKED: pip install 'facecli[train]'")

import torch
from support.made_up_people import made_up_crops, spec_of
from support.networks import iresnet

from facecli.cli.train import run as run_train
from facecli.common.enums import Device, LossName, Part
from facecli.common.errors import InputError, UsageError
from facecli.training import losses, people
from facecli.training.devices import one
from facecli.training.inputs import make_inputs
from facecli.training.loop import PATIENCE, RATES, Epoch, Recipe, Run, drawn
from facecli.training.losses import Margin, margin_of
from facecli.training.network import divide

pytestmark = pytest.mark.training

RECIPE = Recipe(margin=Margin(scale=16, m2=0.2), epochs=4, lr=0.02, batch=16)
Make = Callable[..., Run]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A run on made-up people, by its recipe."""
    folder = tmp_path_factory.mktemp("runs")
    content = iresnet(width=4)
    spec = spec_of(folder / "base.onnx", content)
    crops = made_up_crops(people=40, each=3, strangers=300, shifted=True)
    groups = people.people(crops.photos, range(len(crops.photos)))
    parts = people.split(groups, crops.good.tolist(), {}, {}, 0)
    inputs = {
        part: make_inputs(divide(content, part).front, spec, crops)
        for part in (Part.LAST, Part.ALL)
    }

    def made(recipe: Recipe = RECIPE, name: str = "run", key: str = "key", **more: bool) -> Run:
        return Run(
            divide(content, recipe.part).module, inputs[recipe.part], parts, crops.found, recipe,
            key, folder / f"{name}.pt", one(Device.CPU), **more,
        )  # fmt: skip

    return made


def test_the_command_s_defaults_are_the_recipe_s() -> None:
    asked = signature(run_train).parameters
    recipe = Recipe()
    for name in ("part", "loss", "epochs", "batch", "seed"):
        assert asked[name].default == getattr(recipe, name), name
    assert recipe.lr == RATES[recipe.part] and recipe.margin == margin_of(recipe.loss)


def test_each_photo_is_drawn_in_one_of_the_views_that_show_a_face() -> None:
    found = np.array([[True, False, True], [False, False, False], [False, False, True]] * 40)
    draws = np.stack([drawn(found, np.random.default_rng(seed)) for seed in range(4)])
    assert set(draws[:, 0::3].ravel()) == {1, 3}, "by chance, and never the one without a face"
    assert set(draws[:, 1::3].ravel()) == {0} and set(draws[:, 2::3].ravel()) == {3}
    assert 0.4 < (draws[:, 0::3] == 1).mean() < 0.6


def bits(module: torch.nn.Module) -> list[torch.Tensor]:
    return list(module.state_dict().values())


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(bits(first), bits(second), strict=True))


@pytest.mark.parametrize("loss", list(LossName))
def test_every_loss_lowers_itself(loss: LossName, make: Make) -> None:
    margin = losses.MARGINS.get(loss, Margin(m2=0.35))
    recipe = replace(RECIPE, loss=loss, margin=replace(margin, scale=16), lr=0.003)
    done = make(recipe, str(loss)).train()
    assert [epoch.number for epoch in done.epochs] == list(range(len(done.epochs)))
    assert min(epoch.loss for epoch in done.epochs[2:]) < max(done.epochs[1].loss, 0.1)
    assert all(math.isfinite(v) for e in done.epochs[1:] for v in (e.loss, e.target_angle, e.dir))


def test_all_of_the_network_is_trained_from_crops(make: Make) -> None:
    done = make(replace(RECIPE, part=Part.ALL, epochs=2, lr=0.003), "all", shifted=True).train()
    assert len(done.epochs) == 3 and done.epochs[2].loss < done.epochs[1].loss


@pytest.mark.parametrize("stop", [1, 3])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(stop: int, make: Make) -> None:
    whole = make(name=f"whole{stop}", shifted=True)
    finished = whole.train()

    class Killed(Exception):
        pass

    def kill(epoch: Epoch) -> None:
        if epoch.number == stop:
            raise Killed

    with pytest.raises(Killed):
        make(name=f"cut{stop}", shifted=True).train(kill)
    resumed = make(name=f"cut{stop}", shifted=True)
    assert resumed.resume() == stop
    seen: list[int] = []
    again = resumed.train(lambda epoch: seen.append(epoch.number))
    assert seen == list(range(stop + 1, len(finished.epochs)))
    assert same(finished.module, again.module) and again.best == finished.best
    assert repr(again.epochs) == repr(finished.epochs)
    last = [torch.load(run.checkpoint, weights_only=True) for run in (whole, resumed)]
    assert repr(last[0]["optimizer"]) == repr(last[1]["optimizer"])
    for name, tensor in last[0]["heads"].items():
        assert torch.equal(tensor, last[1]["heads"][name])


def test_a_run_that_came_to_its_end_learns_no_more_when_it_goes_on(make: Make) -> None:
    """As it does to be registered: what was reported is what is made again."""
    recipe = replace(RECIPE, lr=1e-9, epochs=9)
    finished = make(recipe, "patience").train()
    assert len(finished.epochs) == 1 + PATIENCE and "without a better one" in finished.stopped
    resumed = make(recipe, "patience")
    resumed.resume()
    again = resumed.train(lambda epoch: pytest.fail(f"epoch {epoch.number} once more"))
    assert repr(again.epochs) == repr(finished.epochs) and again.stopped == finished.stopped
    assert same(finished.module, again.module)


def test_the_same_seed_learns_the_same_and_another_something_else(make: Make) -> None:
    first, second = (make(name=f"same{i}").train() for i in range(2))
    other = make(replace(RECIPE, seed=1), "other").train()
    assert repr(first.epochs) == repr(second.epochs) != repr(other.epochs)


def test_a_rate_that_ruins_everything_leaves_the_base(make: Make) -> None:
    run = make(replace(RECIPE, lr=1e6, margin=Margin(scale=64, m2=0.5)), "ruin")
    base = [tensor.clone() for tensor in bits(run.module)]
    done = run.train()
    assert done.best.number == 0
    assert all(torch.equal(a, b) for a, b in zip(base, bits(done.module), strict=True))


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_best(make: Make) -> None:
    run = make(name="nan")
    base = [tensor.clone() for tensor in bits(run.module)]

    def spoil(epoch: Epoch) -> None:
        with torch.no_grad():
            run.heads["centres"].fill_(math.nan)

    done = run.train(spoil)
    assert "was no number" in done.stopped and "--lr" in done.stopped
    assert len(done.epochs) == 1 and done.best.number == 0
    assert all(torch.equal(a, b) for a, b in zip(base, bits(done.module), strict=True))


def test_a_checkpoint_that_is_another_s_damaged_or_missing_is_refused(make: Make) -> None:
    run = make(name="refused")
    with pytest.raises(InputError, match="no run to resume"):
        make(name="refused").resume()
    run.train()
    with pytest.raises(InputError, match="of another run"):
        make(name="refused", key="other").resume()
    sound = run.checkpoint.read_bytes()
    assert run.checkpoint.stat().st_mode & 0o777 == 0o600
    for broken in (sound[: len(sound) // 2], b"", b"not a checkpoint", sound[:50] + sound[60:]):
        run.checkpoint.write_bytes(broken)
        with pytest.raises(InputError, match="damaged"):
            make(name="refused").resume()
    torch.save({"format": 0}, run.checkpoint)
    with pytest.raises(InputError, match="damaged"):
        make(name="refused").resume()


class Runs:
    """What a hostile checkpoint would run."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return Path.touch, (Path("/tmp/facecli-checkpoint-ran"),)  # type: ignore[return-value]


def test_nothing_in_a_checkpoint_is_run(make: Make) -> None:
    run = make(name="hostile")
    torch.save({"format": 1, "key": "key", "module": Runs()}, run.checkpoint)
    with pytest.raises(InputError, match="damaged"):
        run.resume()
    assert not Path("/tmp/facecli-checkpoint-ran").exists()


def test_recipes_that_cannot_be_are_refused() -> None:
    for values in ({"lr": 0.0}, {"lr": math.nan}, {"epochs": 0}, {"batch": 1}):
        with pytest.raises(UsageError):
            Recipe(**values)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="--m3 does not go with --loss arcface"):
        losses.margin_of(LossName.ARCFACE, m3=0.2)
    assert losses.margin_of(LossName.ARCFACE, m2=0.3).m2 == 0.3
    assert losses.margin_of(LossName.SPHEREFACE, scale=10).falling
