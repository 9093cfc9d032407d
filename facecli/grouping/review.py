"""What a person looks at to see whether a group is one person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facecli.grouping.links import unit_means
from facecli.storage.records import SeenFace


def shown(faces: Sequence[SeenFace], most: int) -> tuple[SeenFace, ...]:
    """The clearest face of a group, and then those least like its mean template, `most` in all.

    A face that does not belong is among them. faces: one or more, the best quality first.
    """
    cover, *others = faces
    vectors = np.stack([face.found.template.vector for face in faces])
    alike = vectors[1:] @ unit_means(vectors, np.zeros(len(faces), np.int64))[0]
    order = np.argsort(alike, kind="stable")
    return cover, *(others[i] for i in order[: most - 1])
