"""Makes torch fast and repeatable on a CPU."""

from __future__ import annotations

import ctypes
import random
import sys

import torch


def prepare(seed: int, threads: int) -> None:
    """Seed torch and random, set the number of threads and let the allocator keep freed memory.

    With glibc's defaults each large tensor is mapped and returned to the system anew, which costs more than half of a
    training step.
    """
    random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(-4, 0)  # M_MMAP_MAX
            libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
            libc.mallopt(-2, 2**28)  # M_TOP_PAD
