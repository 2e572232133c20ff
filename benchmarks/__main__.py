"""The benchmarks' commands: `python -m benchmarks --help`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from . import (
    architectures,
    extraction,
    generation,
    latency,
    machine,
    quality,
    record,
    report,
    scaling,
    storage,
    sweep,
    tables,
    throughput,
    topk,
)
from .trainers.quality_tasks import TASKS
from .trainers.sizes import WORKLOADS

app = typer.Typer(add_completion=False, no_args_is_help=True, help="How fast saespec is, beside others.")
console = Console(width=170)

Rounds = Annotated[int, typer.Option(help="How often each measurement is made.", min=1)]
Threads = Annotated[int, typer.Option(help="Threads for torch.", min=1)]
Device = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]
Patience = Annotated[
    float, typer.Option(help="Seconds to spend on repeating what others disturbed, once it is quiet.")
]
Seed = Annotated[int, typer.Option(help="Of the order, the data and the weights.")]
Workloads = Annotated[list[str] | None, typer.Option(help=f"{' or '.join(WORKLOADS)}; all by default.")]
Out = Annotated[Path | None, typer.Option(help="The Parquet file.", show_default="benchmarks/results/…")]


@app.command("throughput")
def throughput_(
    rounds: Rounds = 3,
    threads: Threads = 2,
    device: Device = "cpu",
    steps: Annotated[int | None, typer.Option(help="Timed steps, instead of the workload's own.")] = None,
    workload: Workloads = None,
    trainer: Annotated[list[str] | None, typer.Option(help="One of them; all by default.")] = None,
    saelens_python: Annotated[
        Path | None, typer.Option(help="Python of an environment with sae-lens 6.54.12.")
    ] = None,
    dictionary_learning_python: Annotated[
        Path | None, typer.Option(help="Python of an environment with dictionary-learning 0.1.0.")
    ] = None,
    patience: Patience = 0.0,
    seed: Seed = 0,
    out: Out = None,
) -> None:
    """Train eight SAEs with saespec and with others, side by side."""
    names = [one.name for one in throughput.TRAINERS]
    wanted = _known("trainer", trainer, names)
    settings = throughput.Settings(
        workloads=_known("workload", workload, list(WORKLOADS)),
        trainers=[one for one in throughput.TRAINERS if one.name in wanted],
        rounds=rounds,
        steps=steps,
        threads=threads,
        device=device,
        seed=seed,
        pythons={"saelens": saelens_python, "dictionary_learning": dictionary_learning_python},
        patience=patience,
    )
    _finish("throughput", throughput.measure(settings, console), out, device)


@app.command("architectures")
def architectures_(
    rounds: Rounds = 3,
    threads: Threads = 2,
    device: Device = "cpu",
    steps: Annotated[int | None, typer.Option(help="Timed steps, instead of the workload's own.")] = None,
    workload: Annotated[
        list[str] | None, typer.Option(help=f"{' or '.join(architectures.SIZES)}; all by default.")
    ] = None,
    architecture: Annotated[list[str] | None, typer.Option(help="One of them; all by default.")] = None,
    trainer: Annotated[list[str] | None, typer.Option(help="One of them; all by default.")] = None,
    saelens_python: Annotated[
        Path | None, typer.Option(help="Python of an environment with sae-lens 6.54.12.")
    ] = None,
    dictionary_learning_python: Annotated[
        Path | None, typer.Option(help="Python of an environment with dictionary-learning 0.1.0.")
    ] = None,
    patience: Patience = 0.0,
    seed: Seed = 0,
    out: Out = None,
) -> None:
    """Train eight SAEs of every architecture with saespec and with others, side by side."""
    chosen = _known("trainer", trainer, [one.name for one in architectures.TRAINERS])
    settings = architectures.Settings(
        workloads=_known("workload", workload, list(architectures.SIZES)),
        architectures=_known("architecture", architecture, architectures.names()),
        trainers=[one for one in architectures.TRAINERS if one.name in chosen],
        rounds=rounds,
        steps=steps,
        threads=threads,
        device=device,
        seed=seed,
        pythons={"saelens": saelens_python, "dictionary_learning": dictionary_learning_python},
        patience=patience,
    )
    _finish("architectures", architectures.measure(settings, console), out, device)


@app.command("topk")
def topk_(
    rounds: Rounds = 3,
    threads: Threads = 2,
    device: Device = "cpu",
    latents: Annotated[
        list[int] | None, typer.Option(help="Sizes of dictionaries.", show_default="512, 2048, 8192")
    ] = None,
    patience: Patience = 0.0,
    seed: Seed = 0,
    out: Out = None,
) -> None:
    """Measure what a step of TopK costs as k, latents and cells grow."""
    sizes = tuple(latents or topk.LATENTS)
    settings = topk.Settings(rounds, threads, device, seed, sizes, patience)
    _finish("topk", topk.measure(settings, console), out, device)


@app.command("quality")
def quality_(
    rounds: Rounds = 2,
    threads: Threads = 2,
    device: Device = "cpu",
    task: Annotated[list[str] | None, typer.Option(help=f"{', '.join(TASKS)}; all by default.")] = None,
    length: Annotated[
        list[int] | None, typer.Option(help="Steps of a training, instead of the tasks' own.")
    ] = None,
    trainer: Annotated[list[str] | None, typer.Option(help="One of them; all by default.")] = None,
    saelens_python: Annotated[
        Path | None, typer.Option(help="Python of an environment with sae-lens 6.54.12.")
    ] = None,
    dictionary_learning_python: Annotated[
        Path | None, typer.Option(help="Python of an environment with dictionary-learning 0.1.0.")
    ] = None,
    seed: Seed = 0,
    out: Out = None,
) -> None:
    """Train eight SAEs until they are good, with saespec and with others."""
    chosen = _known("trainer", trainer, [one.name for one in quality.TRAINERS])
    settings = quality.Settings(
        tasks=[TASKS[name] for name in _known("task", task, list(TASKS))],
        trainers=[one for one in quality.TRAINERS if one.name in chosen],
        rounds=rounds,
        lengths=sorted(length or ()),
        threads=threads,
        device=device,
        seed=seed,
        pythons={"saelens": saelens_python, "dictionary_learning": dictionary_learning_python},
    )
    _finish("quality", quality.measure(settings, console), out, device)


@app.command("scaling")
def scaling_(
    rounds: Rounds = 3,
    threads: Threads = 2,
    device: Device = "cpu",
    workload: Workloads = None,
    vary: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(scaling.VALUES)}; all by default.")
    ] = None,
    precision: Annotated[str, typer.Option(help="float32 or another that `train.precision` takes.")] = (
        "float32"
    ),
    patience: Patience = 0.0,
    seed: Seed = 0,
    out: Out = None,
) -> None:
    """Measure the trainer, and the matrix products alone, as one size grows."""
    settings = scaling.Settings(
        rounds=rounds,
        threads=threads,
        device=device,
        seed=seed,
        bases=_known("workload", workload, list(scaling.BASES)),
        vary=_known("size", vary, list(scaling.VALUES)),
        fields={} if precision == "float32" else {"train.precision": precision},
        patience=patience,
    )
    _finish("scaling", scaling.measure(settings, console), out, device)


@app.command("latency")
def latency_(
    rounds: Rounds = 5,
    cells: Annotated[
        list[int] | None, typer.Option(help="Sizes of specs.", show_default="10, 100, 1000, 10000")
    ] = None,
    out: Out = None,
) -> None:
    """Time the commands that train nothing, from start to prompt."""
    _finish("latency", latency.measure(rounds, tuple(cells or latency.SIZES)), out)


@app.command("data")
def data(
    rounds: Rounds = 5,
    batches: Annotated[int, typer.Option(help="Batches in a measurement.", min=1)] = 200,
    threads: Threads = 2,
    device: Device = "cpu",
    workload: Workloads = None,
    out: Out = None,
) -> None:
    """Time toy batches alone."""
    workloads = _known("workload", workload, list(WORKLOADS))
    _finish("data", generation.measure(workloads, rounds, batches, threads, device), out, device)


@app.command("sweep")
def sweep_(
    rounds: Rounds = 5,
    steps: Annotated[int, typer.Option(help="Timed steps of every SAE.", min=1)] = 100,
    threads: Threads = 2,
    device: Device = "cpu",
    workload: Workloads = None,
    out: Out = None,
) -> None:
    """Train dictionaries of five sizes one after the other, and side by side."""
    workloads = _known("workload", workload, list(WORKLOADS))
    _finish("sweep", sweep.measure(workloads, rounds, steps, threads, device), out, device)


@app.command("extraction")
def extraction_(
    rounds: Rounds = 3,
    threads: Threads = 2,
    device: Device = "cpu",
    vectors: Annotated[
        int, typer.Option(help="Activation vectors of a measurement; one takes ten times as many.", min=1)
    ] = 100_000,
    out: Out = None,
) -> None:
    """Extract activations, and run the bare model cut at the same layer."""
    _finish("extraction", extraction.measure(rounds, threads, device, vectors), out, device)


@app.command("store")
def store(
    rounds: Rounds = 3,
    threads: Threads = 2,
    device: Device = "cpu",
    steps: Annotated[int, typer.Option(help="Timed steps of a training.", min=1)] = 1000,
    rows: Annotated[
        int | None, typer.Option(help="Vectors in the store.", show_default="ten times reading's memory")
    ] = None,
    out: Out = None,
) -> None:
    """Train on shuffled batches from an activation store, and on the same vectors in memory."""
    _finish("store", storage.measure(rounds, threads, device, steps, rows), out, device)


@app.command("report")
def report_(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if the page is stale.")
    ] = False,
    png: Annotated[Path | None, typer.Option(help="Also draw the figures as PNG, into this folder.")] = None,
) -> None:
    """Make the tables and figures of docs/speed.md from the results."""
    made = report.report()
    stale = []
    for path, content in made.files(report.PAGE.read_text(encoding="utf-8")).items():
        target = report.PAGE.parent / path
        if not target.exists() or target.read_bytes() != content:
            stale.append(target)
            if not check:
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(content)
        if png and path.suffix == ".svg" and (drawn := made.figure(path.stem)):
            png.mkdir(parents=True, exist_ok=True)
            (png / f"{path.stem}.png").write_bytes(drawn[2])
    for target in stale:
        console.print(f"{'stale' if check else 'written'}: {target.relative_to(machine.ROOT)}")
    if check and stale:
        console.print("`python -m benchmarks report` makes them anew")
        raise typer.Exit(1)


def _known(what: str, given: Sequence[str] | None, known: Sequence[str]) -> Sequence[str]:
    if unknown := set(given or ()) - set(known):
        raise typer.BadParameter(f"no {what} {', '.join(unknown)}: there are {', '.join(known)}")
    return given or known


def _finish(name: str, rows: list[dict[str, Any]], out: Path | None, device: str = "cpu") -> None:
    """Print and write a benchmark's rows; a GPU's go to a file of their own."""
    kind = device.split(":")[0]
    path = out or record.RESULTS / (f"{name}.parquet" if kind == "cpu" else f"{name}-{kind}.parquet")
    record.write(path, name, report.BENCHMARKS[name], rows, kind)
    tables.show(name, rows, console)
    worst = max(row["others"] for row in rows)
    console.print(f"{machine.processor()}; others kept up to {worst:.2f} cores busy. Written: {path}")


if __name__ == "__main__":
    app(prog_name="python -m benchmarks")
