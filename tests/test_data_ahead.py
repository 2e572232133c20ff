"""Batches drawn ahead are those that are drawn one at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from cells import cell

from saespec.data.ahead import Ahead, in_threads
from saespec.data.source import source

CPU = torch.device("cpu")


def test_only_who_goes_on_makes_more_than_asked() -> None:
    made: list[tuple[str, int]] = []

    def job(part: str, t: int) -> Callable[[], int]:
        made.append((part, t))
        return lambda: t

    ahead = Ahead(job, at_once=3)
    assert [ahead("a", t) for t in (5, 5, 80, 7)] == [5, 5, 80, 7]
    assert made == [("a", t) for t in (5, 5, 80, 7)]
    made.clear()
    assert [ahead("a", t) for t in (8, 9)] == [8, 9]
    assert ahead("b", 4) == 4
    assert [ahead("a", t) for t in (10, 11)] == [10, 11]
    assert made == [("a", 8), ("a", 9), ("a", 10), ("b", 4), ("a", 11), ("a", 12), ("a", 13)]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_of_threads_come_in_order(threads: int) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        assert in_threads([lambda i=i: i for i in range(8)]) == list(range(8))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("draw", ["batch", "sample"])
def test_toy_batches_do_not_depend_on_what_was_asked_before(draw: str) -> None:
    config = cell(correlation={"kind": "random", "draw": draw}, empty_rows="fill", active=0.7).config.data
    one_after_another = source(config, 0, CPU)
    expected = {t: source(config, 0, CPU).batch("train", t, 8) for t in range(40)}
    for t in range(40):
        one_after_another.batch("held-out", t * 7, 8)
        assert torch.equal(one_after_another.batch("train", t, 8), expected[t])
    assert torch.equal(one_after_another.batch("train", 11, 8), expected[11])
