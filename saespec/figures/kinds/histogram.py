"""A histogram: bars over bins of one width."""

from __future__ import annotations

import json
from typing import Any

from saespec.spec.charts import Histogram

from .axes import Axes, field


def layers(histogram: Histogram, axes: Axes) -> list[dict[str, Any]]:
    """Bars over bins that the query has counted, or over those of the rows."""
    apart = {"color": axes.told_apart(histogram.color, histogram.sort)} if histogram.color else {}
    mark = {"type": "bar", **axes.clips()}
    if histogram.y is None:
        x = axes.number("x", histogram.x, bin={"step": histogram.step})
        count = {
            **axes.number("y", "count", zero=True, aggregate="count"),
            "title": axes.title(axes.column("y")),
        }
        del count["field"]
        return [{"mark": mark, "encoding": {"x": x, "y": count, **apart}}]
    x = axes.number("x", histogram.x, bin={"binned": True, "step": histogram.step})
    end = f"{histogram.x} to"
    to = {"calculate": f"datum[{json.dumps(histogram.x)}] + {histogram.step!r}", "as": end}
    y = axes.number("y", histogram.y, zero=True)
    return [
        {"transform": [to], "mark": mark, "encoding": {"x": x, "x2": {"field": field(end)}, "y": y, **apart}}
    ]
