"""The page of top examples."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

from saespec.figures.examples import page


class Text(HTMLParser):
    """Collects tags, text and styles; complains about tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.spans: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta",):
            self.open.append(tag)
        if tag == "span":
            self.spans.append(("", dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if "style" not in self.open else ""
        if self.open and self.open[-1] == "span":
            self.spans[-1] = (self.spans[-1][0] + data, self.spans[-1][1])


def row(
    tokens: list[tuple[str, float | None]], cell: str = "abc", latent: int = 3, rank: int = 1
) -> dict[str, Any]:
    activation = max(code or 0 for _, code in tokens)
    return {
        "cell": cell, "latent": latent, "rank": rank, "activation": activation, "density": 0.0123,
        "context": 7, "position": 2, "tokens": json.dumps(tokens),
    }  # fmt: skip


def test_tokens_are_shaded_by_their_share_of_the_latents_highest_code() -> None:
    text = page(
        "A spec", [row([("the", 0.0), (" cat", 4.0), (" sat", 1.0)]), row([(" on", 2.0)], rank=2)], {}
    )
    found = Text(text)
    assert [(token, a["style"]) for token, a in found.spans] == [
        (" cat", "--a:1.00"),
        (" sat", "--a:0.25"),
        (" on", "--a:0.50"),
    ]
    assert [a.get("class") for _, a in found.spans] == ["top", None, "top"]
    assert "the cat sat" in found.text
    assert "active on 1.23 % of tokens" in found.text


def test_text_cannot_become_markup() -> None:
    evil = '<script>alert("x")</script>&amp;'
    text = page(evil, [row([(evil, 1.0), ("</p></body>", None)], cell='"><b>')], {'"><b>': evil})
    found = Text(text)
    assert not {"script"} & set(found.tags)
    assert evil in found.text
    assert "</p></body>" in found.text


def test_lines_and_tabs_are_seen() -> None:
    assert "a⏎" in Text(page("x", [row([("a\n", 1.0), ("\tb", None)])], {})).text
    assert "⇥b" in Text(page("x", [row([("a\n", 1.0), ("\tb", None)])], {})).text


def test_cells_and_latents_have_headings_and_the_page_needs_nothing_else() -> None:
    rows = [row([("x", 1.0)], cell, latent) for cell in ("one", "two") for latent in (5, 9)]
    text = page("x", rows, {"one": "sae.latents = 8"})
    found = Text(text)
    assert found.tags.count("h2") == 2
    assert found.tags.count("h3") == 4
    assert "sae.latents = 8" in found.text
    assert "http" not in text
    assert "src=" not in text
    assert text == page("x", rows, {"one": "sae.latents = 8"})


def test_a_spec_without_examples_gives_an_empty_page() -> None:
    assert Text(page("x", [], {})).tags.count("h2") == 0
