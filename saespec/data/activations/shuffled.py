"""Vectors of the activation store in a random order, with bounded memory.

Legend: V vectors, D dimensions.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saespec.data.parts import TRAIN
from saespec.data.streams import Streams

from .store import DTYPES, Site

WINDOW_ROWS = 2**16
WINDOW_BYTES = 2**28
"""Vectors that shuffled reading holds in memory: so many, or what takes so many bytes."""

BLOCKS = 64
"""Contiguous runs of vectors in a window: each is read from another place."""


class Shuffled:
    """A part in a random order that is a function of (streams, epoch), with bounded memory.

    Blocks of contiguous vectors are put in a random order, each window of blocks is read and shuffled within.
    Every vector comes once an epoch. Any place can be asked for; who goes on from window to window finds the next
    one read already, by a thread. Two windows are in memory then.
    """

    def __init__(self, site: Site, streams: Streams, part: str = TRAIN) -> None:
        self._site, self._streams, self._part = site, streams, part
        manifest = site.manifest
        self.rows = manifest.rows(part)
        window = min(WINDOW_ROWS, WINDOW_BYTES // (manifest.dim * DTYPES[manifest.dtype].itemsize))
        self._block = max(1, window // BLOCKS)
        self._epoch: tuple[int, NDArray[np.int64], NDArray[np.int64]] | None = None
        self._window: tuple[int, Tensor] | None = None
        self._next: tuple[int, Future[Tensor]] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shuffled")

    def read(self, start: int, size: int) -> Tensor:
        """`size` vectors from place `start` on of the endless sequence of epochs, [size, D].

        In the store's dtype, on the streams' device. Raises DamagedFileError as `Site.rows` does.
        """
        pieces = []
        while size:
            epoch, place = divmod(start, self.rows)
            _, ends = self._order(epoch)
            number = int(np.searchsorted(ends, place, side="right"))
            window_VD = self._get(epoch * len(ends) + number)
            offset = place - (int(ends[number - 1]) if number else 0)
            piece = window_VD[offset : offset + size]
            pieces.append(piece)
            start, size = start + len(piece), size - len(piece)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def _order(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Blocks in the order of an epoch, and where each window ends: as many windows in every epoch."""
        kept = self._epoch
        if kept is None or kept[0] != epoch:
            blocks = self._streams.host(f"order/{epoch}").permutation(-(-self.rows // self._block))
            sizes = np.minimum(self._block, self.rows - blocks * self._block)
            ends = np.append(sizes.cumsum()[BLOCKS - 1 :: BLOCKS], self.rows)
            self._epoch = kept = epoch, blocks, np.unique(ends)
        return kept[1:]

    def _get(self, at: int) -> Tensor:
        """A window by its number in the endless sequence of windows."""
        if self._window is None or self._window[0] != at:
            goes_on = self._window is not None and self._window[0] == at - 1
            self._window = None  # frees its memory before the next is read
            waiting, self._next = self._next, None
            if waiting is not None and waiting[0] == at:
                rows_VD = waiting[1].result()
            else:
                rows_VD = self._read_window(at, *self._order(at // self._windows))
            self._window = at, rows_VD.to(self._streams.device)
            if goes_on:
                order = self._order((at + 1) // self._windows)
                self._next = at + 1, self._thread.submit(self._read_window, at + 1, *order)
        return self._window[1]

    @property
    def _windows(self) -> int:
        """Windows of an epoch."""
        blocks = -(-self.rows // self._block)
        return -(-blocks // BLOCKS)

    def _read_window(self, at: int, blocks: NDArray[np.int64], ends: NDArray[np.int64]) -> Tensor:
        epoch, number = divmod(at, self._windows)
        rows = int(ends[number]) - (int(ends[number - 1]) if number else 0)
        order_V = self._streams.host(f"order/{epoch}/{number}").permutation(rows)
        to_V = np.empty_like(order_V)
        to_V[order_V] = np.arange(rows)
        out_VD = np.empty((rows, self._site.manifest.dim), self._site.kind)
        starts = blocks[number * BLOCKS : (number + 1) * BLOCKS] * self._block
        self._site.gather(self._part, starts, self._block, to_V, out_VD)
        return torch.from_numpy(out_VD).view(DTYPES[self._site.manifest.dtype])
