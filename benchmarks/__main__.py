"""The benchmarks' commands: `python -m benchmarks throughput | latency | data`."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from . import generation, latency, machine, record, tables, throughput
from .trainers.sizes import WORKLOADS

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
console = Console(width=150)

Rounds = Annotated[int, typer.Option(help="How often each measurement is made.", min=1)]
Threads = Annotated[int, typer.Option(help="Threads for torch.", min=1)]
Out = Annotated[Path | None, typer.Option(help="The Parquet file.", show_default="benchmarks/results/…")]


@app.command("throughput")
def throughput_(
    rounds: Rounds = 3,
    threads: Threads = 2,
    steps: Annotated[int | None, typer.Option(help="Timed steps, instead of the workload's own.")] = None,
    workload: Annotated[list[str] | None, typer.Option(help="One of them; all by default.")] = None,
    saelens_python: Annotated[
        Path | None, typer.Option(help="Python of an environment with sae-lens 6.54.12.")
    ] = None,
    dictionary_learning_python: Annotated[
        Path | None, typer.Option(help="Python of an environment with dictionary-learning 0.1.0.")
    ] = None,
    patience: Annotated[
        float, typer.Option(help="Seconds to spend on waiting for a quiet machine and on repetitions.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the order, the data and the weights.")] = 0,
    out: Out = None,
) -> None:
    """Train eight SAEs with saespec and with others, side by side."""
    workloads = workload or list(WORKLOADS)
    if unknown := set(workloads) - set(WORKLOADS):
        raise typer.BadParameter(f"no workload {', '.join(unknown)}: there are {', '.join(WORKLOADS)}")
    settings = throughput.Settings(
        workloads=workloads,
        rounds=rounds,
        steps=steps,
        threads=threads,
        seed=seed,
        pythons={"saelens": saelens_python, "dictionary_learning": dictionary_learning_python},
        patience=patience,
    )
    rows = throughput.measure(settings, console)
    for name in workloads:
        tables.throughput(rows, name, console)
    _write(out, "throughput", throughput.COLUMNS, rows)


@app.command("latency")
def latency_(
    rounds: Rounds = 5,
    cells: Annotated[
        list[int] | None, typer.Option(help="Sizes of specs.", show_default="100, 10000")
    ] = None,
    out: Out = None,
) -> None:
    """Time the commands that train nothing."""
    rows = latency.measure(rounds, tuple(cells or (100, 10_000)))
    seconds: dict[str, list[float]] = defaultdict(list)
    memory: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: (row["command"], row["cells"] or 0)):
        name = row["command"] if row["cells"] is None else f"{row['command']}, {row['cells']:,} cells"
        name = name.replace("run,", "run, nothing to do,")
        seconds[name].append(row["seconds"])
        memory[name] = f"{row['peak_memory_bytes'] / 2**20:.0f} MiB"
    tables.times("Commands", "s", seconds, memory, console)
    _write(out, "latency", latency.COLUMNS, rows)


@app.command("data")
def data(
    rounds: Rounds = 5,
    batches: Annotated[int, typer.Option(help="Batches in a measurement.", min=1)] = 200,
    threads: Threads = 2,
    out: Out = None,
) -> None:
    """Time toy batches alone."""
    rows = generation.measure(rounds, batches, threads)
    micros: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        micros[f"{row['workload']}, drawn per {row['draw']}"].append(row["microseconds"])
    tables.times("One batch of 256 toy samples", "µs", micros, {}, console)
    _write(out, "data", generation.COLUMNS, rows)


def _write(out: Path | None, name: str, columns: Any, rows: list[dict[str, Any]]) -> None:
    path = out or record.RESULTS / f"{name}.parquet"
    record.write(path, name, columns, rows)
    worst = max(row["others"] for row in rows)
    console.print(f"{machine.processor()}; others kept up to {worst:.2f} cores busy. Written: {path}")


if __name__ == "__main__":
    app(prog_name="python -m benchmarks")
