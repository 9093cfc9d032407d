"""`train` as JSON and as text: before beside after. The page is in `training_page`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from facecli.report.columns import table, titled_lines
from facecli.report.evaluation_tables import Table
from facecli.report.formats import (
    SCHEMA,
    counted,
    printable,
    rounded,
    significant,
)
from facecli.report.intervals import interval_row, share

if TYPE_CHECKING:  # metrics cost scipy's import, training torch's
    from facecli.training.loop import Epoch
    from facecli.training.measure import Comparison, Measured
    from facecli.training.preview import Preview
    from facecli.training.train import Training

MEANING = {
    "better": "On people that it never saw, more are found while no more strangers are named.",
    "no difference shown": "What was seen may be chance. Keep the old model.",
    "worse": "Fewer people are found. Keep the old model.",
}


def summary(t: Training) -> list[str]:
    """The verdict first, then what it rests on."""
    lines = [f"Verdict: {t.verdict}. {MEANING[t.verdict]}"]
    for one in t.comparisons:
        d = one.dir
        lines.append(
            f"With {one.condition}: of {one.before.searches.mated.trials:,} probes of {one.n:,} "
            f"people, where 1 % of {one.before.searches.nonmated.trials:,} strangers may be named, "
            f"{share(d.before)} were identified before and {share(d.after)} after: a difference of "
            f"{points(d.difference)}, at 95 % between {points(d.low)} and {points(d.high)}. "
            f"{str(one.verdict).capitalize()}."
        )
    moved = _moved(t.comparisons[0])
    lines.append(moved)
    if t.best.number == 0:
        lines.append(
            "No epoch was better than the base on the people who choose: this is the base."
        )
    if t.stopped:
        lines.append(f"It stopped early: {t.stopped}.")
    lines.append(
        f"Registered as {t.name}." if t.registered else
        f"Not registered; the model is {t.out / 'model.onnx'}."
    )  # fmt: skip
    return lines


def tables(t: Training) -> list[Table]:
    """Before beside after, the epochs, and what was made."""
    return [*(_comparison_table(one) for one in t.comparisons), _epochs_table(t), _facts_table(t)]


def training_text(t: Training) -> str:
    """The summary, then every table."""
    lines = [f"- {printable(line)}" for line in summary(t)]
    shown = (f"{x.title}\n{table(x.rows, x.headers)}" + (f"\n{x.notes}" if x.notes else "")
             for x in tables(t))  # fmt: skip
    return "\n\n".join(["\n".join(lines), *shown])


def training_row(t: Training) -> dict[str, Any]:
    """The JSON object of `train`."""
    return {
        "schema": SCHEMA,
        "name": t.name,
        "base": t.base.embedder_id,
        "embedder": t.exported.spec.embedder_id,
        "verdict": str(t.verdict),
        "registered": t.registered,
        "recipe": _recipe(t),
        "training_set": {"people": t.people, "photos": t.photos, "digest": t.digest},
        "trained_numbers": t.trained,
        "numbers": t.weights,
        "best_epoch": t.best.number,
        "stopped": t.stopped or None,
        "epochs": [_epoch_row(epoch) for epoch in t.epochs],
        "comparisons": [_comparison_row(one) for one in t.comparisons],
        "parity": significant(t.exported.parity),
        "table": t.table,
        "licence": t.exported.spec.licence,
        "commercial_use": t.exported.spec.commercial_use,
        "out": str(t.out),
        "seconds": round(t.seconds, 1),
        "summary": summary(t),
        "remarks": list(t.remarks),
    }


def epoch_line(epoch: Epoch) -> str:
    """One line of progress."""
    measured = (
        f"DIR {share(epoch.dir)}, rank 1 {share(epoch.rank_one)}, mean DIR "
        f"{share(epoch.mean_dir)}, known {epoch.known:.3f}, "
        f"unknown {epoch.unknown:.3f}"
    )
    if epoch.number == 0:
        return f"epoch 0 (the base): {measured}"
    return (
        f"epoch {epoch.number}: loss {epoch.loss:.4g}, target angle {epoch.target_angle:.1f}°, "
        f"learning rate {epoch.lr:.2g}; {measured}"
    )


def preview_text(p: Preview) -> str:
    """`--dry-run` for people."""
    return titled_lines(list(_preview_lines(p)))


def preview_row(p: Preview) -> dict[str, Any]:
    """`--dry-run` as JSON."""
    panels = {
        name: {
            "people": len(panel.gallery), "probes": len(panel.probes),
            "strangers": len(panel.strangers),
        }
        for name, panel in (("select", p.split.select), ("report", p.split.report))
    }  # fmt: skip
    return {
        "schema": SCHEMA,
        "dry_run": True,
        "people": p.people,
        "photos": p.photos,
        "train": {"people": len(p.split.names), "photos": len(p.split.train)},
        **panels,
        "trained_numbers": p.trained,
        "numbers": p.weights,
        "seconds": round(p.seconds),
        "bytes": p.memory,
        "remarks": list(p.split.remarks),
    }


def points(difference: float) -> str:
    """A difference of rates in points of a hundred, with its sign."""
    return f"{difference * 100:+.1f} points"


def angle(scores: Any) -> float:
    """The mean angle behind cosines, degrees."""
    from facecli.training.measure import mean_angle

    return mean_angle(scores)


def _preview_lines(p: Preview) -> Iterator[tuple[str, str]]:
    select, report = p.split.select, p.split.report
    yield "given", f"{counted(p.photos, 'photo')} of {p.people:,} people"
    yield "to train on", f"{counted(len(p.split.train), 'photo')} of {len(p.split.names):,} people"
    for title, panel in (("to choose the epoch", select), ("to report on", report)):
        yield (
            title,
            (
                f"{len(panel.gallery):,} people, {counted(len(panel.probes), 'probe')}, "
                f"{counted(len(panel.strangers), 'stranger')}"
            ),
        )
    yield "trained", f"{p.trained:,} of {p.weights:,} numbers of the network"
    yield "time", f"about {max(1, round(p.seconds)):,} s on this processor, as busy as it is now"
    yield "memory", f"about {p.memory / 1e6:,.0f} MB for crops and features"
    for remark in p.split.remarks:
        yield "", remark


def _moved(one: Comparison) -> str:
    """Known people and strangers, as the ArcFace notes' own table has them."""
    (known, strangers), (after_known, after_strangers) = (
        (_mean(m.known), _mean(m.unknown)) for m in (one.before, one.after)
    )
    moved = after_strangers - strangers
    way = "did not move" if abs(moved) < 0.0005 else f"moved {'away' if moved < 0 else 'nearer'}"
    return (
        f"Scores of known people: {known:.3f} before, {after_known:.3f} after; of strangers with "
        f"whom they resemble most: {strangers:.3f} before, {after_strangers:.3f} after: strangers "
        f"{way}."
    )


def _comparison_table(one: Comparison) -> Table:
    rows = [
        ("DIR at FPIR 1 %", share(one.dir.before), share(one.dir.after),
         f"{points(one.dir.difference)} ({one.dir.low * 100:+.1f} to {one.dir.high * 100:+.1f})"),
        *(_pair(title, one, value) for title, value in (
            ("rank 1, whatever the score", _rank_one), ("known people's score, mean", _known),
            ("nearest stranger's score, mean", _unknown), ("mated angle, mean", _mated_angle),
            ("non-mated angle, mean", _nonmated_angle),
            ("nearest stranger's angle, mean", _stranger_angle),
        )),
    ]  # fmt: skip
    notes = (
        f"N = {one.n:,}; {one.before.searches.mated.trials:,} probes, "
        f"{one.before.searches.nonmated.trials:,} strangers; each model at its own threshold "
        "in hindsight. Interval: paired bootstrap of people and strangers. 90°: unrelated faces."
    )
    title = f"Before and after, {one.condition}: {one.verdict}"
    return Table(title, ("", "before", "after", "difference"), tuple(rows), notes)


def _pair(title: str, one: Comparison, value: Any) -> tuple[str, str, str, str]:
    (first, unit), (second, _) = value(one.before), value(one.after)
    if unit == "%":
        return title, share(first), share(second), points(second - first)
    form = "{:z.1f}°" if unit else "{:z.3f}"  # z: no -0.0
    return title, form.format(first), form.format(second), form.format(second - first)


def _rank_one(m: Measured) -> tuple[float, str]:
    return m.rank_one.rate, "%"


def _known(m: Measured) -> tuple[float, str]:
    return _mean(m.known), ""


def _unknown(m: Measured) -> tuple[float, str]:
    return _mean(m.unknown), ""


def _mated_angle(m: Measured) -> tuple[float, str]:
    return angle(m.known), "°"


def _nonmated_angle(m: Measured) -> tuple[float, str]:
    return angle(m.nonmated), "°"


def _stranger_angle(m: Measured) -> tuple[float, str]:
    return angle(m.unknown), "°"


def _mean(values: Any) -> float:
    known = [float(v) for v in values if not math.isnan(v)]
    return sum(known) / len(known) if known else math.nan


def _epochs_table(t: Training) -> Table:
    rows = tuple(
        (
            f"{e.number}{' (best)' if e is t.best else ''}",
            "" if e.number == 0 else f"{e.loss:.4g}",
            "" if e.number == 0 else f"{e.target_angle:.1f}°",
            "" if e.number == 0 else f"{e.lr:.2g}",
            share(e.dir), share(e.rank_one), share(e.mean_dir),
            f"{e.known:.3f}", f"{e.unknown:.3f}",
        )
        for e in t.epochs
    )  # fmt: skip
    headers = (
        "epoch",
        "loss",
        "target angle",
        "learning rate",
        "DIR",
        "rank 1",
        "mean DIR",
        "known",
        "unknown",
    )
    notes = (
        "Epoch 0 is the base. Measured on the people who choose the epoch, not on those above: by "
        "the mean of\nthe DIRs at an FPIR of 1 %, 10 % and 100 %, which is rank 1."
    )
    return Table("Epochs", headers, rows, notes)


def _facts_table(t: Training) -> Table:
    margin, spec = t.recipe.margin, t.exported.spec
    rows = (
        ("base", t.base.embedder_id),
        ("trained", f"{t.recipe.part}: {t.trained:,} of {t.weights:,} numbers"),
        ("loss", f"{t.recipe.loss}, scale {margin.scale:g}, m1 {margin.m1:g}, m2 {margin.m2:g}, "
                 f"m3 {margin.m3:g}"),
        ("training set", f"{counted(t.photos, 'photo')} of {t.people:,} people"),
        ("degraded like", f"{counted(len(t.looks), 'photo')} of --like" if t.looks else "nothing"),
        ("ONNX file against what was trained", f"{t.exported.parity:.1e} at most"),
        ("reference table", t.table),
        ("licence", f"{spec.licence}, as the base's"),
        ("took", f"{t.seconds:,.0f} s"),
    )  # fmt: skip
    return Table("What was made", ("", "value"), rows)


def _recipe(t: Training) -> dict[str, Any]:
    r = t.recipe
    return {
        "part": str(r.part), "loss": str(r.loss), "scale": r.margin.scale, "m1": r.margin.m1,
        "m2": r.margin.m2, "m3": r.margin.m3, "epochs": r.epochs, "lr": r.lr, "batch": r.batch,
        "seed": r.seed,
    }  # fmt: skip


def _epoch_row(e: Epoch) -> dict[str, Any]:
    return {
        "epoch": e.number, "loss": significant(e.loss), "target_angle": significant(e.target_angle),
        "lr": significant(e.lr), "dir": rounded(e.dir), "rank_one": rounded(e.rank_one),
        "mean_dir": rounded(e.mean_dir), "known": rounded(e.known), "unknown": rounded(e.unknown),
    }  # fmt: skip


def _comparison_row(one: Comparison) -> dict[str, Any]:
    d = one.dir
    return {
        "condition": one.condition,
        "verdict": str(one.verdict),
        "n": one.n,
        "fpir": d.fpir,
        "dir": {
            "before": rounded(d.before), "after": rounded(d.after),
            "difference": rounded(d.difference), "low": rounded(d.low), "high": rounded(d.high),
            "level": d.level,
        },
        "before": _measured_row(one.before),
        "after": _measured_row(one.after),
    }  # fmt: skip


def _measured_row(m: Measured) -> dict[str, Any]:
    return {
        "threshold": rounded(m.rates.threshold),
        "rank_one": interval_row(m.rank_one),
        "known": rounded(_mean(m.known)),
        "unknown": rounded(_mean(m.unknown)),
        "mated_angle": rounded(angle(m.known)),
        "nonmated_angle": rounded(angle(m.nonmated)),
        "stranger_angle": rounded(angle(m.unknown)),
    }
