"""Templates by way of the features are those that the whole embedder makes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="NOT CHECKED: pip install 'facecli[train]'")
pytest.importorskip("onnx2torch", reason="NOT CHECKED: pip install 'facecli[train]'")

from support.made_up_people import made_up_crops

from facecli.common.enums import Device, Part
from facecli.recognition.embedder import OnnxEmbedder
from facecli.recognition.model_zoo import registry
from facecli.training.crops import Crops
from facecli.training.inputs import make_inputs, templates
from facecli.training.network import divide, tail_of

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def crops() -> Crops:
    return made_up_crops(people=4, each=2, shifted=True)


@pytest.mark.parametrize("part", list(Part))
@pytest.mark.parametrize("name", [registry.DEFAULT_EMBEDDER, "sface"])  # sface has a centre
def test_templates_of_features_are_the_embedder_s(name: str, part: Part, crops: Crops) -> None:
    spec = registry.find_embedder(name)
    content = registry.read_verified(spec)
    embedder = OnnxEmbedder(spec, content, Device.CPU)
    divided = divide(content, part)
    steps: list[int] = []
    inputs = make_inputs(divided.front, spec, crops, step=lambda: steps.append(0))
    assert len(steps) == (0 if part is Part.ALL else len(crops.photos))
    rows = np.array([5, 0, 3])
    for view in range(4):
        wanted = embedder.embed(crops.views[rows, view])
        for tail in (divided.tail, tail_of(divided.whole, part)):
            found = templates(inputs, tail, rows, view, step=lambda: steps.append(0))
            assert np.abs(found - wanted).max() < 1e-4
        assert np.abs(found[::-1] - wanted).max() > 0.01, "and each row's own"
    assert len(steps) >= 8 * len(rows)


def test_of_no_rows_there_are_no_templates(crops: Crops) -> None:
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    divided = divide(registry.read_verified(spec), Part.HEAD)
    inputs = make_inputs(divided.front, spec, crops)
    none = templates(inputs, divided.tail, np.zeros(0, np.intp))
    assert none.shape == (0, spec.dimension)
