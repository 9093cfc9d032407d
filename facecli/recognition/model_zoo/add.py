"""A model file becomes an embedder: its facts, the check of its network, the copy."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from pathlib import Path

from facecli.common import atomic
from facecli.common.errors import LicenceError, ModelError, UsageError
from facecli.common.files import regular
from facecli.common.places import home, own_folder
from facecli.recognition.model_zoo.check import INPUT_SIZE, output_of
from facecli.recognition.model_zoo.kinds import require_network
from facecli.recognition.model_zoo.registry import known_models, read_manifest, shipped_embedders
from facecli.recognition.model_zoo.specs import ChannelOrder, EmbedderSpec

UNKNOWN_LICENCE = "unknown"
_PREPROCESSING = 1
_PRELU = b"PRelu"  # the operator that `optimise` is about, as an ONNX file names it
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What the user says of the input; None takes what is known of the file.

    mean, std: (x - mean) / std on 0..255 values. flip: average the crop and its mirror image.
    """

    channel_order: ChannelOrder | None = None
    mean: float | None = None
    std: float | None = None
    flip: bool | None = None


def add_model(
    file: Path,
    name: str | None = None,
    given: Preprocessing | None = None,
    licence: str | None = None,
    accept_licence: bool = False,
) -> EmbedderSpec:
    """Check an ONNX file and copy it into `home()`, where it lies as the embedder `name`.

    name: by default the known model's, else the file's. given: goes before what is known of the
    file and must be complete where nothing is. licence: what to record for an unknown file.
    Of the file that a shipped model was made of, the shipped one is given: it is the same.
    Raises UsageError where facts are missing or impossible, ModelError where the file cannot be
    read or is no embedder, or the name is another model's, LicenceError without consent.
    """
    content = _read(file)
    require_network(content)  # first, for what it is matters more than how to feed it
    facts = _facts(content, given or Preprocessing(), licence)
    if facts_by_sha256(content):
        require_consent(facts, accept_licence)
    facts = replace(facts, name=name or facts.name or file.stem)
    shipped = (spec for spec in shipped_embedders() if spec.embedder_id == facts.embedder_id)
    return next(shipped, None) or install(content, facts)


def require_consent(facts: EmbedderSpec, accepted: bool) -> None:
    """Raise LicenceError where a known model's licence is restricted and not accepted."""
    if not accepted and not facts.commercial_use:
        raise LicenceError(
            f"The licence of {facts.name} is: {facts.licence}. If it covers your use, give "
            "--accept-licence. The embedder that comes with facecli may be used commercially."
        )


def install(
    content: bytes, facts: EmbedderSpec, beside: Mapping[str, bytes] | None = None
) -> EmbedderSpec:
    """Write an embedder that passes `output_of`: the networks first, the description last.

    beside: more files of its own, by name: its table, its card.

    The publisher's file stays as it is and gives the embedder its identity; where it can be
    rewritten to run faster, that stands beside it and is what runs; see `may_be_faster`. The same
    model again is written again, which mends a damaged one. Raises ModelError where the name is
    unusable or another model's, or the network is unfit.
    """
    if not _NAME.fullmatch(facts.name):
        raise ModelError(
            f"{facts.name!r} cannot be a model's name: give --name with up to 64 ASCII letters, "
            "digits, dots, hyphens and underscores, a letter or digit first."
        )
    folder = home() / "models" / facts.name
    output = output_of(content, facts.mean, facts.std)
    spec = replace(facts, path=folder / "model.onnx", dimension=len(output))
    faster = _rewritten(content, facts)
    if faster is not None:
        sha256 = hashlib.sha256(faster).hexdigest()
        spec = replace(spec, rewritten=folder / "rewritten.onnx", rewritten_sha256=sha256)
    _refuse_another(folder / "model.toml", spec)
    try:
        own_folder(folder)
        atomic.write(spec.path, content, replace=True)
        if spec.rewritten is not None and faster is not None:
            atomic.write(spec.rewritten, faster, replace=True)
        for file, more in (beside or {}).items():
            atomic.write(folder / file, more, replace=True)
        description = _as_toml(
            spec, card=spec.card is not None and spec.card.name in (beside or {})
        )
        atomic.write(folder / "model.toml", description.encode(), replace=True)
    except OSError as error:
        raise ModelError(f"{folder}: {error.strerror}. The model was not installed.") from error
    return read_manifest(folder / "model.toml")[0]


def may_be_faster(spec: EmbedderSpec) -> bool:
    """Whether a network was added as it is for want of the `models` extra, and runs slower so."""
    return spec.rewritten is None and _PRELU in spec.path.read_bytes() and not find_spec("onnx")


def _rewritten(content: bytes, facts: EmbedderSpec) -> bytes | None:
    """The network as `optimise` has it; None where nothing is to be rewritten, or onnx missing."""
    if _PRELU not in content:
        return None
    try:
        from facecli.recognition.model_zoo.optimise import rewritten
    except ImportError:
        return None
    return rewritten(content, facts.mean, facts.std)


def facts_by_sha256(content: bytes) -> EmbedderSpec | None:
    """What is known of a file with this content, and of one that a shipped model was made of."""
    sha256 = hashlib.sha256(content).hexdigest()
    sources = [spec for spec in shipped_embedders() if spec.published_sha256 == sha256]
    known = [model.spec for model in known_models() if model.spec.sha256 == sha256]
    known += [replace(spec, sha256=sha256, published_sha256=None) for spec in sources]
    return next(iter(known), None)


def _read(file: Path) -> bytes:
    try:
        return regular(file).read_bytes()
    except OSError as error:
        raise ModelError(f"{file}: {error.strerror}. Give the path of an ONNX file.") from error


def _facts(content: bytes, given: Preprocessing, licence: str | None) -> EmbedderSpec:
    known = facts_by_sha256(content)
    base = known or _unknown(content, given, licence)
    facts = replace(
        base,
        channel_order=given.channel_order or base.channel_order,
        mean=base.mean if given.mean is None else given.mean,
        std=base.std if given.std is None else given.std,
        flip=base.flip if given.flip is None else given.flip,
    )
    if not math.isfinite(facts.mean) or not math.isfinite(facts.std) or facts.std <= 0:
        raise UsageError("--mean must be a finite number and --std a finite number above 0.")
    return facts if facts == base else facts.of_other_templates()


def _unknown(content: bytes, given: Preprocessing, licence: str | None) -> EmbedderSpec:
    if given.channel_order is None or given.mean is None or given.std is None or given.flip is None:
        output_of(content, 127.5, 127.5)  # what is no embedder is told so before it is asked about
        raise UsageError(
            "facecli does not know this file, so it cannot know what to feed it. Give all of "
            "--channel-order, --mean, --std and --flip or --no-flip, as its publisher states them."
        )
    return EmbedderSpec(
        name="",
        path=Path(),
        sha256=hashlib.sha256(content).hexdigest(),
        input_size=INPUT_SIZE,
        channel_order=given.channel_order,
        mean=given.mean,
        std=given.std,
        dimension=0,
        flip=given.flip,
        preprocessing=_PREPROCESSING,
        licence=licence or UNKNOWN_LICENCE,
        commercial_use=False,
        source="added by the user",
    )


def _refuse_another(description: Path, spec: EmbedderSpec) -> None:
    taken = {shipped.name.casefold() for shipped in shipped_embedders()}
    if spec.name.casefold() in taken:
        raise ModelError(f"{spec.name} comes with facecli: choose another --name.")
    if not description.exists():
        return
    if [old.embedder_id for old in read_manifest(description)] != [spec.embedder_id]:
        raise ModelError(
            f"Another model, or this one with other preprocessing, is called {spec.name}: choose "
            f"another --name, or remove {description.parent} (galleries made with it need it)."
        )


def _as_toml(spec: EmbedderSpec, card: bool) -> str:
    """The description, in the format of `models/manifest.toml`: files by their names.

    card: whether the card lies beside it.
    """
    facts = {field.name: getattr(spec, field.name) for field in fields(spec)}
    facts = {"file": facts.pop("path"), **facts}
    lines = [
        f"{key} = {_toml_value(value.name if isinstance(value, Path) else value)}"
        for key, value in facts.items()
        if value is not None and key != "name" and (card or key != "card")
    ]
    return "\n".join([f'[embedder."{spec.name}"]', *lines, ""])


def _toml_value(value: str | float | bool) -> str:
    """TOML writes strings without control characters, numbers and booleans as JSON does."""
    if isinstance(value, str):
        value = "".join(c if c.isprintable() else " " for c in value)
    return json.dumps(value, ensure_ascii=False)
