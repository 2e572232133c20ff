"""Vega-Lite of chart kinds; one file a kind, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from saespec.spec.charts import Plotted

from . import bars, box, heatmap, histogram, line, scatter
from .axes import Axes

KINDS: Mapping[str, Callable[[Any, Axes], list[dict[str, Any]]]] = {
    "heatmap": heatmap.layers,
    "line": line.layers,
    "scatter": scatter.layers,
    "histogram": histogram.layers,
    "bar": bars.layers,
    "box": box.layers,
}
"""Kind → what makes layers of it, the lowest first."""

SIZES: Mapping[str, Callable[[Plotted, bool], dict[str, Any]]] = {
    "heatmap": heatmap.size,
    "bar": bars.size,
    "box": bars.size,
}
"""Kind → its own size, of a chart or of a panel; others have `axes.size`."""
