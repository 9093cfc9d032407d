"""What may not fail, attacked and counted: one module a promise.

python benchmarks/reliability
"""

from __future__ import annotations

import bad_input
import encryption
import kills
import purged
import together
from tabulate import tabulate

PROMISES = (kills, together, purged, bad_input, encryption)


def main() -> None:
    found = [row for promise in PROMISES for row in promise.rows()]
    print(tabulate(found, ["what", "figure"], disable_numparse=True))


if __name__ == "__main__":
    main()
