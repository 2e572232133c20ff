"""The house look: one Vega-Lite `config` that every figure gets; a figure's own `config` overrides it."""

from __future__ import annotations

from typing import Any

_INK = "#1f2933"
_SOFT = "#52606d"
_GRID = "#e4e7eb"
_AXIS = "#9aa5b1"

# vl-convert brings Liberation Sans, so PNGs are the same on every machine; the rest is for browsers.
_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"


def number_label(digits: int = 3) -> str:
    """Label of a number on a discrete axis or legend: 0.0178, not 0.0177828; 16,384. Own formats win.

    With no digits, a fraction is told as it is.

    The parentheses are for headers of facets, where Vega-Lite puts an expression in the place of `datum.label`.
    """
    number = "isNumber(datum.value) && (datum.label) == '' + datum.value"
    if not digits:
        return f"{number} && datum.value % 1 == 0 ? format(datum.value, ',d') : (datum.label)"
    return f"{number} ? format(datum.value, datum.value % 1 ? '.{digits}~g' : ',d') : (datum.label)"


CONFIG: dict[str, Any] = {
    "background": "white",
    "font": _FONT,
    "padding": 12,
    # Six significant digits without trailing zeros: quantitative axes, legends, text marks.
    "numberFormat": ",.6~g",
    "view": {
        "continuousWidth": 400,
        "continuousHeight": 270,
        "discreteWidth": {"step": 30},
        "discreteHeight": {"step": 30},
        "stroke": None,
    },
    "title": {
        "anchor": "start",
        "frame": "bounds",
        "color": _INK,
        "fontSize": 15,
        "fontWeight": "bold",
        "lineHeight": 19,
        "offset": 14,
        "subtitleColor": _SOFT,
        "subtitleFontSize": 11.5,
        "subtitleLineHeight": 15,
        "subtitlePadding": 6,
    },
    "axis": {
        "domainColor": _AXIS,
        "gridColor": _GRID,
        "tickColor": _AXIS,
        "tickSize": 4,
        "labelColor": _SOFT,
        "labelFontSize": 11,
        "labelPadding": 4,
        "labelLimit": 240,
        "titleColor": _INK,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 9,
        "titleLimit": 500,
    },
    "axisDiscrete": {
        "labelExpr": number_label(),
        "labelAngle": 0,
        "labelOverlap": "parity",
        "labelSeparation": 5,
        "grid": False,
    },
    "axisQuantitative": {"tickCount": 6, "labelOverlap": "greedy", "labelFlush": False, "labelSeparation": 4},
    "legend": {
        "labelColor": _SOFT,
        "labelFontSize": 11,
        "labelLimit": 260,
        "titleColor": _INK,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titleLimit": 260,
        "titlePadding": 7,
        "gradientThickness": 12,
        "gradientLength": 160,
        "tickCount": 5,
        "symbolStrokeWidth": 2,
        "offset": 18,
    },
    "header": {
        "labelExpr": number_label(),
        "labelColor": _INK,
        "labelFontSize": 11.5,
        "titleColor": _INK,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "facet": {"spacing": 24},
    "concat": {"spacing": 36},
    "range": {
        # Okabe & Ito: told apart by colour-blind readers too.
        # Two more after them, since a figure may have ten kinds.
        "category": [
            *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#f0e442"),
            *("#8c564b", "#9aa5b1"),
        ],
        "heatmap": {"scheme": "viridis"},
        "ramp": {"scheme": "viridis"},
        "ordinal": {"scheme": "viridis"},
        "diverging": {"scheme": "redblue"},
    },
    "mark": {"color": "#0072b2"},
    "line": {"strokeWidth": 2},
    "point": {"filled": True, "size": 45},
    "rule": {"color": _SOFT, "strokeDash": [4, 3], "strokeWidth": 1.2},
    "text": {"fontSize": 10, "color": _INK},
}
