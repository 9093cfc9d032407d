"""The sizing page's thresholds and rates are those of the shipped table."""

from __future__ import annotations

import re

from support.places import ROOT

from facecli.metrics import reference_table
from facecli.recognition.model_zoo import registry

PAGE = ROOT / "docs" / "scale.md"


def _row(title: str) -> list[float]:
    found = re.search(rf"^\| {re.escape(title)} \|(.*)$", PAGE.read_text(encoding="utf-8"), re.M)
    assert found, title
    return [float(cell.replace(",", "")) for cell in re.findall(r"[\d.,]+", found[1])]


def test_the_page_s_thresholds_and_rates_are_the_table_s() -> None:
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    assert spec.table
    table = reference_table.from_file(spec.table, spec.embedder_id)
    sizes, shown = _row("subjects N"), _row("threshold for FPIR 1 %, cosine")
    thresholds = [table.threshold(0.01, int(n)) for n in sizes]
    assert shown == [round(threshold, 3) for threshold in thresholds]
    for millions in ("10", "100", "1,000"):
        n = int(millions.replace(",", "")) * 1_000_000
        rates = _row(f"that threshold's FPIR at {millions} million, %")
        assert rates == [float(f"{100 * table.fpir(t, n):.3g}") for t in thresholds]


def test_the_page_says_where_extrapolation_begins() -> None:
    spec = registry.find_embedder(registry.DEFAULT_EMBEDDER)
    assert spec.table
    table = reference_table.from_file(spec.table, spec.embedder_id)
    assert "from N = 4,000 on" in PAGE.read_text(encoding="utf-8")
    assert table.extrapolates(1 - 0.99 ** (1 / 4_100))
    assert not table.extrapolates(1 - 0.99 ** (1 / 3_900))
