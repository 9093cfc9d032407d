"""What may not fail, attacked and counted: one module a promise.

python -m benchmarks.reliability
"""

from __future__ import annotations

from tabulate import tabulate

from benchmarks.reliability import (
    bad_input,
    encryption,
    hostile_galleries,
    kills,
    linked,
    mutants,
    power_cuts,
    purged,
    together,
)

PROMISES = (
    kills, power_cuts, linked, together, purged, bad_input, hostile_galleries, encryption,
    mutants,
)  # fmt: skip


def main() -> None:
    found = [row for promise in PROMISES for row in promise.rows()]
    print(tabulate(found, ["what", "figure"], disable_numparse=True))


if __name__ == "__main__":
    main()
