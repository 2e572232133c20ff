"""How this process's memory allocator treats what a language model's passes free."""

from __future__ import annotations

import ctypes
import sys

# Of glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_freed_memory() -> None:
    """Keep freed blocks for the next pass instead of giving each back to the system; on Linux with glibc only.

    Logits are large blocks. By default each is mapped anew, and its pages are zeroed as they are touched: a
    training step of width 32, vocabulary 4,096 and 2,048 tokens takes 1.4 times the processor time then
    (measured: 179 ms, and 123 ms with this).
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
