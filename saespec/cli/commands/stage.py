"""`saespec stage …`: the commands that DVC calls, in the project's root. Not for typing."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from saespec.stages.threads import wait_briefly

wait_briefly()  # torch is imported by what the commands below call

app = typer.Typer(
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="The commands that DVC calls, in the project's root.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

PlanPath = Annotated[Path, typer.Argument(metavar="PLAN", help="A plan.json.")]


@app.command()
def plan(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A spec file.")],
    versions: Annotated[
        str,
        typer.Option(
            "--versions", help="In dvc.yaml so that a saespec that computes otherwise runs it again."
        ),
    ] = "",
) -> None:
    """Resolve a spec into plan.json."""
    with _told("plan"):
        from saespec.stages.plan import plan as make

        make(spec)


@app.command()
def model(
    plan_path: PlanPath,
    which: Annotated[str, typer.Option("--id", metavar="ID", help="The model to train.")],
) -> None:
    """Train a language model."""
    stop = _Stop()
    with _told(f"model-{which}"):
        from saespec.cli import output
        from saespec.cli.progress import Share
        from saespec.stages.model import model as make

        with Share(f"model-{which}") as share:
            make(plan_path, which, share, stop, output.note)


@app.command()
def extract(
    plan_path: PlanPath,
    which: Annotated[str, typer.Option("--id", metavar="ID", help="The extraction to make.")],
) -> None:
    """Extract activations."""
    stop = _Stop()
    with _told(f"extract-{which}"):
        from saespec.cli import output
        from saespec.cli.progress import Share
        from saespec.stages.extract import extract as make

        with Share(f"extract-{which}") as share:
            make(plan_path, which, share, stop, output.note)


@app.command()
def train(
    plan_path: PlanPath,
    which: Annotated[str, typer.Option("--id", metavar="ID", help="The shape of the batches to train on.")],
) -> None:
    """Train the cells that read batches of one shape."""
    stop = _Stop()
    with _told(f"train-{which}", quietly=True):
        from saespec.cli import output
        from saespec.cli.progress import Display
        from saespec.stages.train import train as make

        with Display(f"train-{which}") as display:
            make(plan_path, which, display.start, display.update, stop, _trained, output.note)


@app.command()
def measure(plan_path: PlanPath) -> None:
    """Measure the trained cells."""
    with _told("measure"):
        from saespec.stages.measure import measure as make

        make(plan_path)


@app.command()
def figures(plan_path: PlanPath) -> None:
    """Draw the figures."""
    with _told("figures"):
        from saespec.stages.figures import figures as make

        make(plan_path)


@app.command()
def claims(plan_path: PlanPath) -> None:
    """Judge the claims."""
    with _told("claims"):
        from saespec.stages.claims import claims as make

        make(plan_path)


@app.command()
def report() -> None:
    """Write results/report.md, the claims of all specs."""
    with _told("report"):
        from saespec.stages.report import report as make

        make(Path.cwd())


def _trained(cells: int) -> None:
    from saespec.engine import events

    events.record("trained", cells=cells)


class _Stop:
    """Whether SIGINT or SIGTERM came. The trainer asks, saves and stops; a second one does not wait for it."""

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def __call__(self) -> bool:
        return self._asked

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True


@contextmanager
def _told(name: str, quietly: bool = False) -> Iterator[None]:
    """Tell the engine, and a person if there is no engine, how a stage went; exit with its code."""
    from saespec.cli import failure, output
    from saespec.engine import events
    from saespec.engine.run import VERBOSITY_VARIABLE
    from saespec.errors import CallError, DamagedFileError, Interrupted, SaespecError, reason

    alone = events.VARIABLE not in os.environ
    events.record("start")
    clock = time.perf_counter()
    try:
        yield
    except (KeyboardInterrupt, Interrupted):
        events.record("failed", "interrupted")
        raise typer.Exit(130) from None
    except (SaespecError, OSError) as error:
        if isinstance(error, DamagedFileError):
            events.record("damaged", str(error), f"{error.file}: {error.what}")
        else:
            events.record("refused" if isinstance(error, CallError) else "failed", failure.text(error))
        if alone:
            failure.report(error, ())
        raise typer.Exit(1) from None
    except Exception as error:
        events.record("failed", f"{type(error).__name__}: {reason(error)} (a bug: the traceback is above)")
        traceback.print_exc()
        raise typer.Exit(1) from None
    seconds = time.perf_counter() - clock
    events.record("done", seconds=round(seconds, 3))
    if not quietly and os.environ.get(VERBOSITY_VARIABLE, "1") != "0":
        output.note(output.paint(f"  {name}  {output.duration(seconds)}", "dim", sys.stderr))
