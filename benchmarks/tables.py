"""Results for people."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from .throughput import TRAINERS, rate


def throughput(rows: Sequence[dict[str, Any]], workload: str, console: Console) -> None:
    """Print one workload's comparison: medians over the rounds, with the least and the most."""
    mine = [row for row in rows if row["workload"] == workload]
    names = [t.name for t in TRAINERS if any(row["trainer"] == t.name for row in mine)]
    medians = {name: rate(mine, workload, name, "steps_per_second") for name in names}
    peers = [medians[t.name] for t in TRAINERS if t.role == "peer" and t.name in medians]
    first = mine[0]
    table = Table(
        title=f"{workload}: {first['cells']} SAEs, batch {first['batch']}, float32, {first['threads']} threads",
        caption=f"Medians of {max(row['round'] for row in mine) + 1} rounds. "
        "Share: of the rate of a step's five products alone.",
    )
    table.add_column("trainer")
    for heading in (
        "SAE-steps/s", "min", "max", "× best peer", "× bmm", "GFLOP/s", "share", "MMCS", "others, cores"
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    for name in names:
        own = [row for row in mine if row["trainer"] == name]
        speeds = [row["steps_per_second"] for row in own]
        mmcs = [row["mmcs_best"] for row in own if row.get("mmcs_best") is not None]
        table.add_row(
            name if own[0]["data"] != "generated" else f"{name} (data made in the loop)",
            f"{medians[name]:,.0f}",
            f"{min(speeds):,.0f}",
            f"{max(speeds):,.0f}",
            f"{medians[name] / max(peers):.2f}" if peers else "",
            f"{medians[name] / medians['stacked bmm, fused Adam']:.2f}",
            f"{median(row['flop_rate'] for row in own) / 1e9:,.0f}",
            f"{median(row['peak_share'] for row in own):.0%}",
            f"{median(mmcs):.3f}" if mmcs else "",
            f"{max(row['others'] for row in own):.2f}",
        )
    console.print(table)


def times(
    title: str, unit: str, groups: dict[str, list[float]], notes: dict[str, str], console: Console
) -> None:
    """Print what took how long: medians with the least and the most; a note may stand beside each."""
    table = Table(title=title)
    table.add_column("what")
    for heading in (f"median, {unit}", "min", "max"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for name, values in groups.items():
        cells = (f"{value:.4g}" for value in (median(values), min(values), max(values)))
        table.add_row(name, *cells, notes.get(name, ""))
    console.print(table)
