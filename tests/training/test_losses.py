"""The losses are the papers': golden values, exact slopes, autograd's word, the library's."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

pytest.importorskip("torch", reason="NOT CHECKED: pip install 'facecli[train]'")

import torch
from hypothesis import given
from hypothesis import strategies as st
from support.places import SHARED

from facecli.common.enums import LossName
from facecli.common.errors import UsageError
from facecli.training import losses
from facecli.training.losses import Margin

pytestmark = pytest.mark.training

WITHIN = 1e-4
GOLDEN = {  # of golden-losses.json's target logits, all at a scale of 64
    "softmax_norm_s64": Margin(),
    "arcface_s64_m.5": Margin(m2=0.5),
    "cosface_s64_m.35": Margin(m3=0.35),
    "cosface_s64_m.4": Margin(m3=0.4),
    "sphere_plain_s64_m1.35": Margin(m1=1.35),
    "sphere_psi_s64_m4": Margin(m1=4, falling=True),
    "sphere_psi_s64_m1.35": Margin(m1=1.35, falling=True),
    "cm1_1_.3_.2_s64": Margin(m1=1, m2=0.3, m3=0.2),
    "cm2_.9_.4_.15_s64": (0.9, 0.4, 0.15),  # m1 < 1: no margin that may be trained with
}
BATCH = {
    "normsoftmax": Margin(), "arcface": Margin(m2=0.5), "cosface": Margin(m3=0.35),
    "sphere plain": Margin(m1=1.35), "sphere psi": Margin(m1=4, falling=True),
    "combined (1": Margin(m1=1, m2=0.3, m3=0.2), "cm1": Margin(m1=1, m2=0.3, m3=0.2),
}  # fmt: skip
COSINES = st.floats(-1, 1)
MARGINS = st.builds(
    Margin, st.floats(1, 64), st.floats(1, 4), st.floats(0, 1), st.floats(0, 0.5), st.booleans()
)


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    file = SHARED / "golden-losses.json"
    if not file.is_file():
        pytest.skip(f"NOT CHECKED: {file} is not there")
    return json.loads(file.read_text())


def unchecked(m1: float, m2: float, m3: float) -> Margin:
    """A margin that the constructor refuses: the formula holds for it all the same."""
    made = Margin()
    for name, value in (("m1", m1), ("m2", m2), ("m3", m3)):
        object.__setattr__(made, name, value)
    return made


def tensor(values: object, gradient: bool = False) -> Any:
    return torch.tensor(values, dtype=torch.float64, requires_grad=gradient)


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_target_logits_are_the_golden_ones(name: str, kind: str, golden: dict[str, Any]) -> None:
    found = GOLDEN[name]
    margin = found if isinstance(found, Margin) else unchecked(*found)
    rows = golden["target_logits"]
    cosine = torch.tensor([row["cos"] for row in rows], dtype=getattr(torch, kind))
    logits = losses.target_logit(cosine, margin).double()
    expected = tensor([row[name] for row in rows])
    assert len(rows) == 11
    assert float((logits - expected).abs().max()) < WITHIN


@pytest.mark.parametrize("batch", ["batch", "batch2"])
def test_whole_losses_are_the_golden_ones(batch: str, golden: dict[str, Any]) -> None:
    facts = golden[batch]
    x, w = tensor(facts["X"]), tensor(facts["W_rows"])
    y = torch.tensor(facts["y"])
    checked = 0
    for name, expected in facts["losses"].items():
        if (found := whole(name, x, w, y)) is not None:
            assert abs(found - expected) < WITHIN, name
            checked += 1
    assert checked == {"batch": 16, "batch2": 20}[batch]


def whole(name: str, x: Any, w: Any, y: Any) -> float | None:
    """The loss that a golden name means; None for the library's, which another test compares."""
    numbers = dict(part.split("=") for part in name.replace(",", " ").split() if "=" in part
                   and part.split("=")[1].replace(".", "").isdigit())  # fmt: skip
    if name.startswith("PML"):
        return None
    if name.startswith("softmax"):
        return float(losses.softmax_loss(x, w, y))
    if name.startswith("intra"):
        return float(losses.intra_loss(x, w, y))
    if name.startswith("inter"):
        return float(losses.inter_loss(w))
    if name.startswith("center"):
        return float(losses.center_loss(x, w, y))
    if name.startswith("triplet angle"):
        return float(losses.triplet_loss(x, y, float(numbers["m"])))
    if name.startswith("triplet"):
        return float(losses.triplet_squared_loss(x, y, float(numbers["m"])))
    if name.startswith(("cm2", "combined (.9")):
        margin = unchecked(0.9, 0.4, 0.15)
    else:
        margin = next(m for start, m in BATCH.items() if name.startswith(start))
    scaled = unchecked(margin.m1, margin.m2, margin.m3)
    object.__setattr__(scaled, "scale", float(numbers["s"]))
    object.__setattr__(scaled, "falling", margin.falling)
    return float(losses.margin_loss(x, w, y, scaled))


def test_arcface_s_slopes_are_the_golden_ones(golden: dict[str, Any]) -> None:
    for cosine, expected in golden["arcface_gradient_dlogit_dcos"].items():
        at = tensor(float(cosine), gradient=True)
        losses.target_logit(at, Margin(m2=0.5)).backward()
        theta = math.acos(float(cosine))
        exact = 64 * math.sin(theta + 0.5) / math.sin(theta)
        assert abs(float(at.grad) - expected) < WITHIN
        assert abs(float(at.grad) - exact) < 1e-9 * abs(exact)


def test_boundaries_are_the_golden_ones(golden: dict[str, Any]) -> None:
    """Two classes 90 degrees apart: on the boundary theta_1 + theta_2 = 90."""
    margins = {
        "softmax": Margin(), "sphere m1=1.35": Margin(m1=1.35), "arcface .5": Margin(m2=0.5),
        "cosface .35": Margin(m3=0.35), "combined (1,.3,.2)": Margin(m1=1, m2=0.3, m3=0.2),
    }  # fmt: skip
    angles = torch.linspace(0, math.pi / 2, 9001, dtype=torch.float64)
    facts = golden["binary_boundary_deg_theta1_when_W1_W2_90deg_apart"]
    assert set(facts) == set(margins)
    for name, expected in facts.items():
        own = losses.boundary(LossName.COMBINED, margins[name], angles)
        apart = torch.where(own.isnan(), torch.inf, (own + angles - math.pi / 2).abs())
        assert math.degrees(float(own[apart.argmin()])) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("cosine", [1.0, -1.0, 0.9999999, -0.9999999])
@pytest.mark.parametrize("name", list(LossName))
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_values_and_gradients_are_finite_where_embedding_and_class_coincide(
    cosine: float, name: LossName, kind: str
) -> None:
    dtype = getattr(torch, kind)
    across = math.sqrt(1 - cosine * cosine)
    rows = [[cosine, across], [cosine, across], [0.0, 1.0]]
    x = torch.tensor(rows, dtype=dtype, requires_grad=True)
    w = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=dtype, requires_grad=True)
    y = torch.tensor([0, 0, 1])
    loss = {
        LossName.SOFTMAX: lambda: losses.softmax_loss(x, w, y),
        LossName.TRIPLET: lambda: losses.triplet_loss(x, y) + losses.triplet_squared_loss(x, y),
        LossName.CENTER: lambda: losses.center_loss(x, w, y),
        LossName.INTRA: lambda: losses.intra_loss(x, w, y),
        LossName.INTER: lambda: losses.inter_loss(w) + x.sum() * 0,
    }.get(name, lambda: losses.margin_loss(x, w, y, losses.MARGINS[name]))()
    loss.backward()
    assert bool(torch.isfinite(loss))
    for parameter in (x, w):
        grad = parameter.grad
        assert grad is None or bool(torch.isfinite(grad).all())
        assert grad is None or float(grad.abs().max()) < 1e3


@pytest.mark.parametrize("name", list(losses.MARGINS))
def test_autograd_agrees_where_it_can(name: LossName) -> None:
    """Away from 0 and pi, by differences of the values."""
    cosine = tensor([0.97, 0.6, 0.1, -0.4, -0.9], gradient=True)
    margin = losses.MARGINS[name]
    torch.autograd.gradcheck(lambda c: losses.target_logit(c, margin), cosine)
    torch.autograd.gradcheck(losses.angle, cosine)
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(6, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    w = torch.randn(3, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    y = torch.tensor([0, 0, 1, 1, 2, 2])
    torch.autograd.gradcheck(lambda x, w: losses.margin_loss(x, w, y, margin), (x, w))
    torch.autograd.gradcheck(lambda x: losses.triplet_loss(x, y), x)
    torch.autograd.gradcheck(losses.inter_loss, w)
    torch.autograd.gradcheck(lambda x, w: losses.intra_loss(x, w, y), (x, w))


def test_the_library_agrees_where_it_is_right() -> None:
    library = pytest.importorskip(
        "pytorch_metric_learning.losses",
        reason="NOT CHECKED AGAINST THE LIBRARY: pip install pytorch-metric-learning",
    )
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(12, 8, dtype=torch.float64, generator=generator)
    x = torch.nn.functional.normalize(x)  # else their SphereFace scales by each one's length
    w = torch.randn(4, 8, dtype=torch.float64, generator=generator)
    y = torch.arange(12) % 4
    theirs = {
        Margin(m2=0.5): library.ArcFaceLoss(4, 8, margin=math.degrees(0.5), scale=64),
        Margin(m3=0.35): library.CosFaceLoss(4, 8, margin=0.35, scale=64),
        Margin(m1=4, falling=True, scale=10): library.SphereFaceLoss(4, 8, margin=4, scale=10),
        Margin(scale=10): library.NormalizedSoftmaxLoss(4, 8, temperature=0.1),
    }
    # Their ArcFace leaves the paper's formula past pi - m, where none of these lies.
    assert float(losses.cosines(x, w).min()) > math.cos(math.pi - 0.5)
    for margin, loss in theirs.items():
        loss.W.data = w.T.clone()
        found = float(losses.margin_loss(x, w, y, margin))
        assert found == pytest.approx(float(loss(x, y).detach()), abs=1e-4), loss
    distance = pytest.importorskip("pytorch_metric_learning.distances").LpDistance(power=2)
    reducer = pytest.importorskip("pytorch_metric_learning.reducers").MeanReducer()
    triplet = library.TripletMarginLoss(margin=0.2, distance=distance, reducer=reducer)
    assert float(losses.triplet_squared_loss(x, y)) == pytest.approx(float(triplet(x, y)))


@given(MARGINS, COSINES, COSINES)
def test_a_falling_logit_falls_with_the_angle_all_the_way(
    margin: Margin, first: float, second: float
) -> None:
    if margin.falling:
        low, high = sorted((first, second))
        values = losses.target_logit(tensor([low, high]), margin)
        assert float(values[0]) <= float(values[1]) + 1e-9 * margin.scale


@given(MARGINS, COSINES)
def test_a_margin_never_helps_before_pi(margin: Margin, cosine: float) -> None:
    at = tensor(cosine)
    if margin.falling or margin.m1 * math.acos(cosine) + margin.m2 <= math.pi:
        assert float(losses.target_logit(at, margin)) <= margin.scale * cosine + 1e-9


@given(st.integers(0, 1000), st.booleans())
def test_without_margins_all_is_normalised_softmax(seed: int, falling: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(5, 4, dtype=torch.float64, generator=generator)
    w = torch.randn(3, 4, dtype=torch.float64, generator=generator)
    y = torch.tensor([0, 1, 2, 0, 1])
    logits = 64 * torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(w).T
    expected = torch.nn.functional.cross_entropy(logits, y)
    found = losses.margin_loss(x, w, y, Margin(falling=falling))
    assert float(found) == pytest.approx(float(expected), abs=1e-9)


def test_what_is_no_margin_is_refused() -> None:
    for values in ({"scale": 0}, {"m1": 0.9}, {"m2": -0.1}, {"m3": -1}, {"m2": math.nan}):
        with pytest.raises(UsageError):
            Margin(**values)


def test_a_batch_without_a_triplet_costs_nothing_and_can_be_learnt_from() -> None:
    x = tensor([[1.0, 0.0], [0.0, 1.0]], gradient=True)
    for loss in (losses.triplet_loss, losses.triplet_squared_loss):
        found = loss(x, torch.tensor([0, 1]))
        found.backward()
        assert float(found.detach()) == 0 and bool((x.grad == 0).all())
