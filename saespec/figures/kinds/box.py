"""Box plots of names."""

from __future__ import annotations

from typing import Any

from saespec.spec.charts import Box

from .axes import Axes


def layers(box: Box, axes: Axes) -> list[dict[str, Any]]:
    """Quartiles; whiskers from the least to the greatest value."""
    encoding = {"x": axes.names("x", box.x, box.sort), "y": axes.number("y", box.y)}
    if box.color:
        encoding["color"] = axes.told_apart(box.color)
    return [{"mark": {"type": "boxplot", "extent": "min-max"}, "encoding": encoding}]
