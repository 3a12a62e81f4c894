"""Random priorities that need no memory: a hash of what they belong to."""

from __future__ import annotations

import hashlib

import numpy as np

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(keys: np.ndarray) -> np.ndarray:
    """Each number hashed to 64 bits (the finaliser of SplitMix64), uint64 of the same shape.

    Different numbers have different hashes.
    """
    with np.errstate(over="ignore"):
        x = keys.astype(np.uint64) + _STEP
        x ^= x >> np.uint64(30)
        x *= _FIRST
        x ^= x >> np.uint64(27)
        x *= _SECOND
        x ^= x >> np.uint64(31)
    return x


def salt(seed: int, purpose: str) -> np.uint64:
    """64 bits for one use of a seed."""
    digest = hashlib.blake2b(f"{seed} {purpose}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def priority(salted: np.uint64, positions: np.ndarray, features: np.ndarray | None = None) -> np.ndarray:
    """A priority for each position, or for each pair of position and feature; lower is kept.

    For one feature, different positions have different priorities.
    """
    first = mix(positions.astype(np.uint64) ^ salted)
    return first if features is None else mix(first ^ mix(features.astype(np.uint64)))
