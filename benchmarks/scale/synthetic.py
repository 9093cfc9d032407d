"""Galleries of made-up people, of any size, as `search.py` needs them.

Unit vectors whose directions are as unevenly used as a face embedder's: the eigenvalues of their
covariance fall as i^-0.7, so that 192 numbers behave like about 70 independent ones, and the
scores of strangers spread by about 0.12, as MobileFaceNet-ArcFace's do on LFW.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from facecli.common.types import Float32
from facecli.storage.sqlite.store import GalleryFile

BLOCK = 10_000
EMBEDDER = "synthetic:0000000000000000:p1-00000000"
WHEN = "2026-01-01T00:00:00Z"
LANDMARKS = np.array([[38, 52], [74, 52], [56, 72], [42, 92], [71, 92]], np.float32).tobytes()


def people(count: int, dimension: int, seed: int) -> Float32:
    """(count, dimension) float32 unit vectors; the same for the same arguments."""
    spread = np.arange(1, dimension + 1, dtype=np.float32) ** np.float32(-0.35)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(dimension, dimension)))[0]
    mixing = (spread[:, None] * turn).astype(np.float32)
    drawn = np.random.default_rng([1, seed]).standard_normal((count, dimension), np.float32)
    return units(drawn @ mixing)


def units(vectors: Float32) -> Float32:
    """The same (n, d) float32 vectors at length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def again(templates: Float32, scores: Float32, seed: int) -> Float32:
    """Other photos of the same people: (n, d) probes whose cosine to row i is `scores[i]`."""
    other = people(len(templates), templates.shape[1], seed)
    across = units(other - np.sum(other * templates, axis=1, keepdims=True) * templates)
    return units(scores[:, None] * templates + np.sqrt(1 - scores[:, None] ** 2) * across)


def gallery(path: Path, count: int, dimension: int, embedder_id: str = EMBEDDER) -> None:
    """Write `count` subjects with one reference each, in one transaction; 30 s for a million."""
    GalleryFile.create(path, embedder_id, dimension).close()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("BEGIN")
    db.execute("UPDATE gallery SET revision = 1")
    db.execute("INSERT INTO revision (id, token) VALUES (1, randomblob(16))")
    for start in range(0, count, BLOCK):
        rows = list(_rows(start, min(BLOCK, count - start), dimension))
        db.executemany(
            "INSERT INTO subject (id, name, key, template, created_at, revision) "
            f"VALUES (?1, ?2, lower(?2), ?3, '{WHEN}', 1)",
            [(i, name, vector) for i, name, vector, _ in rows],
        )
        db.executemany(
            "INSERT INTO reference (id, subject_id, vector, x1, y1, x2, y2, landmarks, "
            "detection_score, quality, photo_sha256, face, path, enrolled_at) "
            f"VALUES (?1, ?1, ?2, 20, 20, 90, 110, ?3, 0.9, 0.8, ?4, 0, ?5, '{WHEN}')",
            [(i, v, LANDMARKS, sha, f"photos/{name}/1.jpg") for i, name, v, sha in rows],
        )
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def templates(count: int, dimension: int) -> Float32:
    """What `gallery` writes, (count, dimension) float32, row i for subject i + 1."""
    blocks = range(0, count, BLOCK)
    return np.concatenate([people(min(BLOCK, count - start), dimension, start) for start in blocks])


def _rows(start: int, count: int, dimension: int) -> Iterator[tuple[int, str, memoryview, str]]:
    for i, vector in enumerate(people(count, dimension, start), start=start + 1):
        # Hashes are spread over their index as real ones are.
        sha = f"{i * 0x9E3779B97F4A7C15 % 2**64:016x}" * 4
        yield i, f"Person {i:07}", vector.data, sha
