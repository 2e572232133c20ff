from __future__ import annotations

import math

import pytest

from saespec.cli import output
from saespec.cli.progress import Display
from saespec.sae.train import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(capsys: pytest.CaptureFixture[str], verbosity: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a stage of 3 cells, 1 of them stored, prints: one stack of 2 cells, 20 s for 1,000 steps."""
    monkeypatch.setenv("SAESPEC_VERBOSITY", verbosity)
    clock = Clock()
    with Display("train-d8-b32", clock) as display:
        display.start(3, 2, 2000)
        for second in range(1, 21):
            clock.now = second
            display.update(
                Progress(2, second * 50, 1000, 100, 100.0, math.nan if second < 6 else second / 20)
            )
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_plain_lines_every_five_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lines(capsys, "1", monkeypatch) == [
        "  train-d8-b32  2 cells (1 done before)  step 250/1,000  100 cell-steps/s  15 s left",
        "  train-d8-b32  2 cells (1 done before)  step 500/1,000  100 cell-steps/s  best MMCS 0.50  10 s left",
        "  train-d8-b32  2 cells (1 done before)  step 750/1,000  100 cell-steps/s  best MMCS 0.75  5.0 s left",
        "  train-d8-b32  2 cells (1 done before)  best MMCS 1.00  20 s",
    ]


def test_quiet_means_no_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines(capsys, "0", monkeypatch) == []


def test_the_time_left_counts_the_stacks_to_come(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Display("train-d8-b32", clock) as display:
        display.start(4, 4, 4000)
        clock.now = 6.0
        display.update(Progress(2, 500, 1000, 1000, 100.0, 0.5))
        clock.now = 12.0
        display.update(Progress(2, 1000, 1000, 1000, 100.0, 0.5))
        display.update(Progress(2, 500, 1000, 1000, 100.0, 0.4))
    said = capsys.readouterr().err.splitlines()
    assert [line.rpartition("  ")[2] for line in said] == ["30 s left", "10 s left", "12 s"]
    assert "best MMCS 0.50" in said[1]
    assert "step 500/1,000 of 2 cells" in said[1]


def test_the_time_left_counts_each_cells_own_steps(capsys: pytest.CaptureFixture[str]) -> None:
    """32 cells of 1,000 steps that are done, and one of 40,000 that is half-way."""
    clock = Clock()
    with Display("train-d8-b32", clock) as display:
        display.start(33, 33, 72_000)
        clock.now = 6.0
        display.update(Progress(33, 20_000, 40_000, 52_000, 10_000.0, 0.5))
    assert "2.0 s left" in capsys.readouterr().err


def test_a_stage_that_was_done_before(capsys: pytest.CaptureFixture[str]) -> None:
    with Display("train-d8-b32") as display:
        display.start(4, 0, 0)
    assert capsys.readouterr().err == "  train-d8-b32  4 cells  all done before\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.02, "0.1 s"),
        (3.14, "3.1 s"),
        (12.4, "12 s"),
        (100, "1 min 40 s"),
        (12_000, "3 h 20 min"),
        (180_000, "2 d 2 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert output.duration(seconds) == text


def test_tables_align_numbers_to_the_right() -> None:
    assert output.table([("a", 1, 0.5), ("bbb", 100, None)], ("x", "n", "y")) == (
        "x      n    y\na      1  0.5\nbbb  100"
    )
