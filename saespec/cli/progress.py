"""The progress of a stage: a bar on a terminal, plain lines elsewhere, on standard error."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from saespec.engine.run import VERBOSITY_VARIABLE

from . import output

if TYPE_CHECKING:
    from saespec.sae.train import Progress

LINE_SECONDS = 5.0


class Display:
    """Shows how far a train stage is; `start` and `update` are what training reports to."""

    def __init__(self, stage: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._stage, self._clock = stage, clock
        self._quiet = os.environ.get(VERBOSITY_VARIABLE, "1") == "0"
        self._begun = self._said = clock()
        self._cells = self._missing = 0
        self._steps = self._done_steps = 0
        self._best = math.nan
        self._bar: Any = None
        self._live: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        if kind is None:
            self._line(self._done())

    def start(self, cells: int, missing: int, steps: int) -> None:
        """A stage of so many cells begins; `missing` of them, of so many steps in all, are not in the store yet."""
        self._cells, self._missing, self._steps = cells, missing, steps
        self._begun = self._clock()
        if self._quiet or not missing or not sys.stderr.isatty():
            return
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar
        from rich.text import Text

        self._bar = Bar(
            TextColumn("   "),
            BarColumn(bar_width=12),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[told]}"),
        )
        self._task = self._bar.add_task("", total=1.0, told="starting")
        shown = Group(Text(f"  {self._name()}"), self._bar)
        self._live = Live(shown, console=Console(stderr=True), refresh_per_second=4, transient=True)
        self._live.start()

    def update(self, progress: Progress) -> None:
        """Training of one round of the stage came this far."""
        if not math.isnan(progress.best_mmcs):
            self._best = progress.best_mmcs if math.isnan(self._best) else max(self._best, progress.best_mmcs)
        self._done_steps += progress.advanced
        share = self._done_steps / max(1, self._steps)
        told = self._told(progress)
        if self._bar is not None:
            self._bar.update(self._task, completed=share, told=told)
        elif self._clock() - self._said >= LINE_SECONDS and progress.step < progress.steps:
            self._said = self._clock()
            self._line(f"{self._name()}  {told}")

    def _name(self) -> str:
        done = self._cells - self._missing
        cells = output.count(self._missing, "cell")
        return f"{self._stage}  {cells}" + (f" ({done} done before)" if done else "")

    def _told(self, progress: Progress) -> str:
        some = f" of {output.count(progress.cells, 'cell')}" if progress.cells < self._missing else ""
        parts = [
            f"step {progress.step:,}/{progress.steps:,}{some}",
            f"{progress.steps_per_second:,.0f} cell-steps/s",
            *self._best_so_far(),
        ]
        left = self._steps - self._done_steps
        if left and progress.steps_per_second:
            parts.append(f"{output.duration(left / progress.steps_per_second)} left")
        return "  ".join(parts)

    def _best_so_far(self) -> list[str]:
        return [] if math.isnan(self._best) else [f"best MMCS {self._best:.2f}"]

    def _done(self) -> str:
        if not self._missing:
            return f"{self._stage}  {output.count(self._cells, 'cell')}  all done before"
        took = output.duration(self._clock() - self._begun)
        return "  ".join([self._name(), *self._best_so_far(), took])

    def _line(self, text: str) -> None:
        if not self._quiet:
            output.note(output.paint(f"  {text}", "dim", sys.stderr))


class Share:
    """Shows which share of a stage is done; called with it and with what there is to say."""

    def __init__(self, name: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._name, self._clock, self._said = name, clock, clock()
        self._bar: Any = None
        if os.environ.get(VERBOSITY_VARIABLE, "1") == "0":
            self._said = math.inf
        elif sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn(f"  {name}"),
                BarColumn(bar_width=12),
                TextColumn("{task.percentage:>3.0f}%  {task.fields[told]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("", total=1.0, told="starting")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, share: float, told: str) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=share, told=told)
        elif self._clock() - self._said >= LINE_SECONDS:
            self._said = self._clock()
            output.note(output.paint(f"  {self._name}  {share:.0%}  {told}", "dim", sys.stderr))
