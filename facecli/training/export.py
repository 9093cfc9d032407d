"""The model that comes out: its file checked, its own reference table and card, its place."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facecli.common.enums import Device
from facecli.common.errors import ModelError, UsageError
from facecli.common.places import home
from facecli.common.types import Float32, Image
from facecli.metrics.reference_population import make_table
from facecli.metrics.reference_table import ReferenceTable
from facecli.recognition.embedder import OnnxEmbedder
from facecli.recognition.model_zoo import add, registry
from facecli.recognition.model_zoo.specs import EmbedderSpec
from facecli.training.inputs import features_of
from facecli.training.network import Divided, written_back

PARITY = 1e-4  # between numbers of unit vectors
COMPARED = 32  # faces that the file and the trained module are compared on
FEWEST_IN_TABLE = 200  # people: 19,900 pairs of them, which show a tail of 5 in 10,000
SEARCHES = 20_000  # a third of what the shipped tables are made with


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """A trained embedder as a file. content: the ONNX bytes. spec: its facts, path aside.

    parity: the largest difference to the trained module, of a number of a unit vector.
    """

    content: bytes
    spec: EmbedderSpec
    parity: float


def export(
    divided: Divided,
    module: Any,
    crops: Image,
    name: str,
    base: EmbedderSpec,
    source: str,
) -> Exported:
    """Write what was learnt into the base's file, and see that the file computes it.

    crops: (k, 112, 112, 3) uint8 BGR, on which file and module are compared. Licence, commercial
    use and preprocessing are the base's; its table and kinds of faces are not: they hold for its
    own templates.
    Raises ModelError where the file computes something else than the module.
    """
    content = written_back(divided, module)
    spec = replace(
        base.of_other_templates(), name=name, sha256=hashlib.sha256(content).hexdigest(),
        source=source, card=None, centre=base.centre, rewritten=None, rewritten_sha256=None,
    )  # fmt: skip
    features = features_of(divided.front, base)(crops)
    with torch.no_grad():
        sides = module(torch.from_numpy(features)).numpy().reshape(len(crops), 2, -1)
    made = sides.sum(axis=1) if base.flip else sides[:, 0]
    plain = replace(spec, centre=None)
    found = OnnxEmbedder(plain, content, Device.CPU).embed(crops)
    wanted = made / np.linalg.norm(made, axis=1, keepdims=True)
    parity = float(np.abs(found - wanted).max())
    if not parity <= PARITY:
        raise ModelError(
            f"the ONNX file differs by {parity:.1e} from what was trained, {PARITY:g} is allowed: "
            "this network cannot be exported"
        )
    return Exported(content, spec, parity)


def reference_table(
    vectors: Float32, people: Sequence[int], spec: EmbedderSpec, made_from: str
) -> ReferenceTable | None:
    """The table of templates of people neither trained on nor chosen by; None of too few.

    vectors: (n, d). people: (n,) whose.
    """
    whose = np.asarray(people, np.int64)
    if len(np.unique(whose)) < FEWEST_IN_TABLE:
        return None
    return make_table(vectors, whose, made_from, spec.embedder_id, searches=SEARCHES)


def require_free(name: str) -> None:
    """Raise UsageError where a model is called so already, before an hour of work is done."""
    if any(spec.name.casefold() == name.casefold() for spec in registry.embedders()):
        raise UsageError(
            f"there is a model called {name} already: choose another --name, or remove it "
            f"({home() / 'models' / name}); galleries made with it need it"
        )


def register(exported: Exported, table: ReferenceTable | None, card: str) -> EmbedderSpec:
    """Put it beside the models that were added, as `models add` does. Raises ModelError."""
    beside = {f"{exported.spec.name}.md": card.encode()}
    spec = replace(exported.spec, card=Path(f"{exported.spec.name}.md"))
    if table is not None:
        file = f"{exported.spec.name}.table.json"
        beside[file] = f"{table.to_json()}\n".encode()
        spec = replace(spec, table=Path(file))
    return add.install(exported.content, spec, beside)


def card(title: str, facts: Mapping[str, str], base: EmbedderSpec, lines: Sequence[str]) -> str:
    """The model card, Markdown: its own facts, what was measured, then the base's card, whole."""
    rows = "\n".join(f"| {key} | {value} |" for key, value in facts.items())
    measured = "\n".join(f"- {line}" for line in lines)
    inherited = ""
    if base.card is not None and base.card.is_file():
        inherited = (
            f"\n## The base it was trained from: {base.name}\n\nWhat follows is the base's card. "
            "Its origin and licence hold for this model as well; its figures and table do not.\n\n"
            + "\n".join(f"> {line}".rstrip() for line in base.card.read_text("utf-8").splitlines())
            + "\n"
        )
    return (
        f"# {title}\n\n| | |\n|---|---|\n{rows}\n\n## What was measured\n\n{measured}\n{inherited}"
    )
