"""`saespec show FILE`: where a file came from and what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from saespec.cli import options

_ROWS = 5


def show(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A table, checkpoint, plan.json, claims.json or chart.")
    ],
    rows: Annotated[int, typer.Option("--rows", min=0, help="Rows of a table to show.")] = _ROWS,
    json: options.Json = False,
) -> None:
    """Show where a file that saespec wrote came from, and what is in it. Its checksum is verified.

    JSON: {ok, file, kind, provenance} and, for a table {row_count, columns: [{name, type, unit,
    description}], rows}, a checkpoint {config, tensors: [{name, shape, dtype, norm}]}, a plan {spec, source,
    cells, groups}, a chart {title, fields, row_count, not_drawn}, claims {claims}.
    """
    from saespec.errors import CallError

    if not file.is_file():
        raise CallError(f"there is no file {file}")
    for ending, describe in _KINDS.items():
        if file.name.endswith(ending):
            found = describe(file, rows)
            break
    else:
        raise CallError(f"{file}: show knows files that end in {', '.join(_KINDS)}")
    if json:
        from saespec.cli import output

        output.json({"ok": True, "file": str(file), **found})
    else:
        _print(file, found)


def _table(file: Path, rows: int) -> dict[str, Any]:
    from saespec.results import parquet
    from saespec.results.query import plain
    from saespec.results.schema import columns_of

    found = parquet.read(file)
    columns = columns_of(found.schema)
    return {
        "kind": "table",
        "provenance": _unprefixed(parquet.footer(found)),
        "row_count": found.num_rows,
        "columns": [
            {"name": c.name, "type": c.type, "unit": c.unit, "description": c.description} for c in columns
        ],
        "rows": [{k: plain(v) for k, v in row.items()} for row in found.slice(0, rows).to_pylist()],
    }


def _unprefixed(footer: dict[str, str]) -> dict[str, str]:
    return {key.removeprefix("saespec."): value for key, value in footer.items()}


def _checkpoint(file: Path, rows: int) -> dict[str, Any]:
    from saespec.sae.checkpoint import read

    tensors, header = read(file)
    config = header.pop("config", None)
    return {
        "kind": "checkpoint",
        "provenance": {key: value for key, value in header.items() if key != "cells"},
        "cells": header.get("cells", [header.get("cell")]),
        "config": config,
        "tensors": [
            {
                "name": name,
                "shape": list(tensor.shape),
                "dtype": str(tensor.dtype).removeprefix("torch."),
                "norm": tensor.double().norm().item(),
            }
            for name, tensor in sorted(tensors.items())
        ],
    }


def _plan(file: Path, rows: int) -> dict[str, Any]:
    from saespec.plan import planfile

    plan = planfile.read(file)
    return {
        "kind": "plan",
        "provenance": {"source": plan.source, "numerics": plan.numerics},
        "spec": plan.spec.name,
        "source": plan.source,
        "cells": len(plan.entries),
        "groups": [{"name": group.name, "cells": len(group.cells)} for group in plan.groups],
    }


def _chart(file: Path, rows: int) -> dict[str, Any]:
    from saespec.results import document

    chart, provenance = document.read(file, document.CHART)
    not_drawn = provenance.pop(document.NOT_DRAWN, [])
    values = chart.get("data", {}).get("values", [])
    title = chart.get("title", {})
    text = title.get("text", "") if isinstance(title, dict) else title
    return {
        "kind": "chart",
        "provenance": {**provenance, "vega_lite": chart.get("$schema", "")},
        "title": " ".join(text) if isinstance(text, list) else str(text),
        "fields": list(dict.fromkeys(key for row in values for key in row)),
        "row_count": len(values),
        "not_drawn": not_drawn,
        "rows": values[:rows],
    }


def _claims(file: Path, rows: int) -> dict[str, Any]:
    from saespec.cli import verdicts
    from saespec.results import document

    found, provenance = document.verdicts(file)
    return {"kind": "claims", "provenance": provenance, "claims": verdicts.listed(found)}


_KINDS = {
    ".parquet": _table,
    ".safetensors": _checkpoint,
    "plan.json": _plan,
    "claims.json": _claims,
    ".vl.json": _chart,
}


def _print(file: Path, found: dict[str, Any]) -> None:
    from saespec.cli import output, verdicts

    counts = {
        "table": lambda: (
            f"{output.count(found['row_count'], 'row')}, {output.count(len(found['columns']), 'column')}"
        ),
        "checkpoint": lambda: output.count(len(found["tensors"]), "tensor"),
        "plan": lambda: f"spec {found['spec']}, {output.count(found['cells'], 'cell')}",
        "chart": lambda: f"{found['title']}: {output.count(found['row_count'], 'row')}",
        "claims": lambda: verdicts.summary({v["claim"]: v for v in found["claims"]}),
    }
    output.say(f"{output.paint(str(file), 'bold')}: {found['kind']}, {counts[found['kind']]()}")
    if found["provenance"]:
        output.say(
            output.table([(key, str(value)) for key, value in found["provenance"].items()], indent="  ")
        )
    if config := found.get("config"):
        output.say()
        output.say(output.table([(path, str(value)) for path, value in _flat(config)], indent="  "))
    if columns := found.get("columns"):
        output.say()
        rows = [(c["name"], c["type"], c["unit"], c["description"]) for c in columns]
        output.say(output.table(rows, ("column", "type", "unit", "description"), "  "))
    if tensors := found.get("tensors"):
        output.say()
        rows_ = [(t["name"], " × ".join(map(str, t["shape"])), t["dtype"], t["norm"]) for t in tensors]
        output.say(output.table(rows_, ("tensor", "shape", "type", "norm"), "  "))
    if groups := found.get("groups"):
        output.say(output.table([(g["name"], g["cells"]) for g in groups], ("group", "cells"), "  "))
    if claims := found.get("claims"):
        output.say()
        output.say(verdicts.table({v["claim"]: v for v in claims}))
    for text in found.get("not_drawn", ()):
        output.say()
        output.say(f"  {text}")
    if first := found.get("rows"):
        output.say()
        output.say(output.table([tuple(row.values()) for row in first], tuple(first[0]), "  "))


def _flat(config: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in config.items():
        found += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
    return found
