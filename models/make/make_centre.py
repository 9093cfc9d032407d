"""Make the fixed mean vector of an embedder that wants one, from photos in a folder per person.

    python models/make/make_centre.py PHOTOS OUT.json --model NAME [--corrections FILE.csv]

The mean over people of the mean template of each.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from make_reference_table import read_corrections, templates

from facecli.recognition.model_zoo import registry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--corrections", type=Path)
    args = parser.parse_args()
    plain = replace(registry.find_embedder(args.model), centre=None)
    vectors, subjects = templates(args.photos, plain, *read_corrections(args.corrections))
    names = np.unique(subjects)
    centre = np.mean([vectors[subjects == name].mean(axis=0) for name in names], axis=0)
    made_from = f"{len(names)} subjects, {len(vectors)} photos"
    values = [round(float(v), 7) for v in centre]
    args.out.write_text(json.dumps({"made_from": made_from, "centre": values}) + "\n")
    print(f"{made_from}; the centre's length is {np.linalg.norm(centre):.4f}")


if __name__ == "__main__":
    main()
