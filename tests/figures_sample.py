"""Figures as an author would write them, for the tests of the figures room."""

from __future__ import annotations

from typing import Any

import duckdb
from results_sample import cell_rows, spec

from saespec.figures.picture import Picture, of
from saespec.results import parquet, schema, views
from saespec.spec.report import Figure

_ALPHA_LOG = {
    "field": "sparsity_coefficient",
    "type": "quantitative",
    "scale": {"type": "log"},
    "title": "L1 coefficient α",
}

_WRITTEN = {
    "heatmap": Figure(
        title="MMCS with the ground truth",
        caption=(
            "Mean over ground-truth features of the best cosine with a dictionary element, for every L1 "
            "coefficient and dictionary size. Larger dictionaries need larger coefficients, because the "
            "penalty is divided by the dictionary size. Rebuilds figure 3."
        ),
        sql="select sparsity_coefficient, latent_ratio, mmcs from cells order by all",
        vega_lite={
            "encoding": {
                "x": {"field": "sparsity_coefficient", "type": "ordinal", "title": "L1 coefficient α"},
                "y": {
                    "field": "latent_ratio",
                    "type": "ordinal",
                    "sort": "descending",
                    "title": "Dictionary size / features",
                },
            },
            "layer": [
                {
                    "mark": "rect",
                    "encoding": {
                        "color": {
                            "field": "mmcs",
                            "type": "quantitative",
                            "title": "MMCS",
                            "scale": {"domain": [0, 1]},
                        }
                    },
                },
                {
                    "mark": "text",
                    "encoding": {
                        "text": {"field": "mmcs", "type": "quantitative", "format": ".2f"},
                        "color": {
                            "condition": {"test": "datum.mmcs > 0.6", "value": "black"},
                            "value": "white",
                        },
                    },
                },
            ],
        },
    ),
    "lines": Figure(
        title="Recovery against the L1 coefficient",
        caption="One line a dictionary size. Dashed: a random dictionary.",
        sql="select sparsity_coefficient, latent_ratio, mmcs, mmcs_chance from cells order by all",
        vega_lite={
            "layer": [
                {
                    "mark": {"type": "line", "point": True},
                    "encoding": {
                        "x": _ALPHA_LOG,
                        "y": {
                            "field": "mmcs",
                            "type": "quantitative",
                            "title": "MMCS",
                            "scale": {"domain": [0, 1]},
                        },
                        "color": {"field": "latent_ratio", "type": "ordinal", "title": "Size / features"},
                    },
                },
                {"mark": "rule", "encoding": {"y": {"aggregate": "mean", "field": "mmcs_chance"}}},
                {
                    "mark": {"type": "text", "align": "right", "dy": 9, "x": "width"},
                    "encoding": {
                        "y": {"aggregate": "mean", "field": "mmcs_chance"},
                        "text": {"value": "chance"},
                    },
                },
            ]
        },
    ),
    "facets": Figure(
        title="By dictionary size",
        caption="Facets share axes.",
        sql="select sparsity_coefficient, latents, mmcs from cells where latents between 64 and 512 order by all",
        vega_lite={
            "facet": {"field": "latents", "type": "ordinal", "title": "Dictionary size"},
            "columns": 2,
            "spec": {
                "width": 220,
                "height": 140,
                "layer": [
                    {
                        "mark": {"type": "line", "clip": True},
                        "encoding": {
                            "x": _ALPHA_LOG,
                            "y": {"field": "mmcs", "type": "quantitative", "title": "MMCS"},
                        },
                    },
                    {"data": {"values": [{}]}, "mark": "rule", "encoding": {"y": {"datum": 0.19}}},
                ],
            },
        },
    ),
    "side_by_side": Figure(
        title="Losses",
        caption="Left: reconstruction. Right: sparsity.",
        sql="select sparsity_coefficient, reconstruction_loss, sparsity_loss\n"
        "from cells where latents = 128 order by all",
        vega_lite={
            "hconcat": [
                {
                    "width": 260,
                    "mark": {"type": "line", "point": True},
                    "encoding": {
                        "x": _ALPHA_LOG,
                        "y": {"field": field, "type": "quantitative", "title": title},
                    },
                }
                for field, title in (
                    ("reconstruction_loss", "Reconstruction loss"),
                    ("sparsity_loss", "L1 loss"),
                )
            ]
        },
    ),
}


FIGURES = {name: of(written) for name, written in _WRITTEN.items()}


def connection() -> duckdb.DuckDBPyConnection:
    """A spec's connection over the sample `cells`."""
    columns = schema.tables(spec())["cells"]
    return views.spec_connection({"cells": parquet.table(columns, cell_rows())}, "toy")


def figure(sql: str = "select latents, mmcs from cells", **vega_lite: Any) -> Picture:
    """A small figure."""
    chart = vega_lite or {"mark": "point", "encoding": {"x": {"field": "mmcs"}}}
    return of(Figure(title="T", sql=sql, vega_lite=chart))
