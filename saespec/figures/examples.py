"""A page of latents' top examples: their text, each token shaded by how active the latent is there."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

Row = Mapping[str, Any]
"""A row of the table `examples`."""

_STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #222; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; } h3 small, h2 small { font-weight: normal; color: #666; }
nav a { display: inline-block; margin-right: 1rem; }
p { margin: .2rem 0; font: 13px/1.6 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
span { background: rgb(255 128 0 / calc(.85 * var(--a))); border-radius: 2px; }
span.top { outline: 1px solid #b40; } b { display: inline-block; min-width: 4rem; color: #666; font-weight: normal; }
i { color: #999; font-style: normal; }
"""


def page(title: str, rows: Iterable[Row], labels: Mapping[str, str]) -> str:
    """HTML of examples in the order of the table: cells, their latents, each latent's examples.

    `labels` says about each cell what tells it apart. A token's shade is its code over the latent's highest; its
    code is shown when pointed at. Everything is in the file, and all text is escaped.
    """
    cells = [
        (cell, list(inside)) for cell, inside in itertools.groupby(rows, key=lambda row: str(row["cell"]))
    ]
    links = "".join(f'<a href="#{escape(cell)}">{escape(labels.get(cell) or cell)}</a>' for cell, _ in cells)
    body = "".join(_cell(cell, inside, labels.get(cell, "")) for cell, inside in cells)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(title)}: top examples</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}: top examples</h1>\n<nav>{links if len(cells) > 1 else ''}</nav>\n"
        f"{body}</body>\n</html>\n"
    )


def _cell(cell: str, rows: list[Row], label: str) -> str:
    latents = [list(inside) for _, inside in itertools.groupby(rows, key=lambda row: row["latent"])]
    heading = f'<h2 id="{escape(cell)}">cell {escape(cell)} <small>{escape(label)}</small></h2>\n'
    return heading + "".join(_latent(inside) for inside in latents)


def _latent(rows: list[Row]) -> str:
    highest = max(row["activation"] for row in rows)
    about = f"active on {100 * rows[0]['density']:.3g} % of tokens, highest {highest:.3g}"
    return f"<h3>latent {rows[0]['latent']} <small>{about}</small></h3>\n" + "".join(
        _example(row, highest) for row in rows
    )


def _example(row: Row, highest: float) -> str:
    tokens: list[tuple[str, float | None]] = json.loads(row["tokens"])
    codes = [code or 0.0 for _, code in tokens]
    top = codes.index(max(codes))
    where = f"context {row['context']}, token {row['position']}"
    spans = (_token(text, code, highest, i == top) for i, (text, code) in enumerate(tokens))
    return f'<p><b title="{where}">{row["activation"]:.3g}</b>{"".join(spans)}</p>\n'


def _token(text: str, code: float | None, highest: float, top: bool) -> str:
    shown = escape(text).replace("\n", "<i>⏎</i>").replace("\t", "<i>⇥</i>")
    if code is None or code <= 0:
        return shown
    mark = ' class="top"' if top else ""
    return f'<span{mark} style="--a:{min(1.0, code / highest):.2f}" title="{code:.4g}">{shown}</span>'
