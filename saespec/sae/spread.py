"""Pieces of work over the devices of one machine, a thread each.

A thread spends its time in torch, which lets go of Python's lock. A device may stand in the list several times:
small stacks then share it, each on a stream of its own.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch

from saespec.errors import Interrupted

T = TypeVar("T")


def spread(
    pieces: Sequence[T],
    devices: Sequence[torch.device],
    work: Callable[[T, torch.device, Callable[[], bool]], None],
    stop: Callable[[], bool],
) -> None:
    """Call `work(piece, device, stop)` for every piece; each device takes the next one when it is free.

    Once one fails the others are asked to stop. Raises what it raised, or Interrupted.
    """
    if len(devices) == 1:
        with _stream_of_its_own(devices[0]):
            for piece in pieces:
                work(piece, devices[0], stop)
        return
    left, taking, failures = deque(pieces), threading.Lock(), list[BaseException]()

    def stopping() -> bool:
        return bool(failures) or stop()

    def next_piece() -> list[T]:
        with taking:
            return [left.popleft()] if left else []

    def take(device: torch.device) -> None:
        try:
            with _stream_of_its_own(device):
                while not failures and (piece := next_piece()):
                    work(piece[0], device, stopping)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=take, args=(device,), daemon=True) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failures.sort(key=lambda error: isinstance(error, Interrupted))  # those that were asked to stop come last
    if failures:
        raise failures[0]


@contextmanager
def _stream_of_its_own(device: torch.device) -> Iterator[None]:
    if device.type == "cpu":
        yield
    else:
        with torch.cuda.device(device), torch.cuda.stream(torch.cuda.Stream(device)):  # type: ignore[no-untyped-call]
            yield
