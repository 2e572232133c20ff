"""`saespec report`: one file, used as a reader would, in a real browser without a network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from browser import needs_browser, opened

from saespec.report import packed
from saespec.report.content import Section, Shown
from saespec.report.interactive import interactive
from saespec.report.page import page
from saespec.spec.language.load import load

ROOT = Path(__file__).parent.parent
ROWS = ".cells tr[data-row]"


def saespec(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "saespec", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two specs whose results are in the repository: toy data, and a transformer with contexts."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    done = saespec("report", "toy_mmcs", "small_transformer", "--out", str(out), "--json")
    told = json.loads(done.stdout)
    assert told["specs"] == ["toy_mmcs", "small_transformer"]
    assert told["bytes"] == out.stat().st_size
    return out


def test_the_same_results_give_the_same_bytes(committed: Path, tmp_path: Path) -> None:
    saespec("report", "toy_mmcs", "small_transformer", "--out", str(tmp_path / "again.html"))
    assert (tmp_path / "again.html").read_bytes() == committed.read_bytes()


def test_a_spec_without_results_is_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    shutil.copy(ROOT / "saespec" / "cli" / "templates" / "quick.yaml", tmp_path / "specs")
    done = saespec("report", cwd=tmp_path)
    assert done.returncode == 1
    assert "no results of quick: run `saespec run specs/quick.yaml`" in done.stderr
    assert not (tmp_path / "report.html").exists()


@needs_browser
def test_a_reader_goes_through_a_page(committed: Path) -> None:
    with opened(committed) as browser:
        assert browser.texts("nav a") == ["toy_mmcs", "small_transformer"]
        visible = [section for section in browser.all("section.spec") if section.is_displayed()]
        assert [section.get_attribute("id") for section in visible] == ["toy_mmcs"]
        assert browser.texts("#toy_mmcs .verdict").count("holds") == 26

        # A figure becomes alive when it is looked at, and its legend filters.
        browser.run("document.querySelector('[data-figure=fig01_goldilocks_zone]').scrollIntoView()")
        alive = "[data-figure=fig01_goldilocks_zone][data-live=yes]"
        browser.until(lambda: browser.all(alive))
        browser.click(f"{alive} .role-legend-symbol")
        browser.until(
            lambda: 'opacity="0.08"' in browser.run(f"return document.querySelector('{alive}').innerHTML")
        )

        # Cells are filtered, sorted and chosen.
        status = "#toy_mmcs .cells [role=status]"
        browser.write("#toy_mmcs .cells input", "latents>=256 seed=1 mmcs>0.9")
        (told,) = browser.texts(status)
        shown = len(browser.texts(f"#toy_mmcs {ROWS}"))
        assert told == f"{shown} of 130"
        assert 0 < shown < 30
        browser.write("#toy_mmcs .cells input", "latnts=256")
        assert browser.texts(status) == ["There is no column latnts."]
        browser.write("#toy_mmcs .cells input", "seed=0")
        names = [name.rstrip(" ▾▴") for name in browser.texts("#toy_mmcs .cells th button")]
        browser.click("#toy_mmcs .cells th button", names.index("mmcs"))
        cells = browser.texts(f"#toy_mmcs {ROWS} td")
        best = [float(value) for value in cells[names.index("mmcs") :: len(names)]]
        assert best == sorted(best, reverse=True)
        for number in (0, 2):
            browser.click(f"#toy_mmcs {ROWS}", number)
        browser.until(
            lambda: browser.all("#toy_mmcs .detail figure svg path[aria-roledescription='line mark']")
        )
        assert "sparsity_coefficient" in browser.texts("#toy_mmcs .differences th")
        assert "seed" not in browser.texts("#toy_mmcs .differences th")

        # The other spec: its latents are found by a word of their contexts.
        browser.click("nav a", 1)
        latents = "#small_transformer .latents"
        browser.until(lambda: browser.texts(f"{latents} .example"))
        browser.write(f"{latents} input", "https")
        browser.click(f"{latents} tr[data-row]")
        assert any("https" in text for text in browser.texts(f"{latents} .example"))
        assert browser.run(f"return document.querySelectorAll('{latents} mark.top').length") > 0

        assert browser.complaints() == []
        assert browser.asked_for() <= {committed.resolve().as_uri(), "data:"}


@needs_browser
def test_every_figure_of_the_page_can_be_drawn_again(committed: Path) -> None:
    with opened(committed) as browser:
        for name in ("toy_mmcs", "small_transformer"):
            browser.run("location.hash = arguments[0]", name)
            for figure in browser.all(f"#{name} figure[data-figure]"):
                browser.until(figure.is_displayed)
                browser.run("arguments[0].scrollIntoView()", figure)
                browser.until(lambda figure=figure: figure.get_attribute("data-live") == "yes")
        assert browser.complaints() == []


@needs_browser
def test_without_scripts_there_are_pictures_and_verdicts(committed: Path) -> None:
    with opened(committed, scripts=False) as browser:
        browser.until(
            lambda: len(browser.all("figure img")) == 23
        )  # without scripts the driver cannot wait for a page
        pictures = browser.all("figure img")
        assert all(picture.is_displayed() and picture.size["width"] > 100 for picture in pictures)
        assert "does not hold" in {verdict.text for verdict in browser.all(".verdict")}


EVIL = "</script><img src=x onerror=\"document.title='hacked'\"><!-- \u2028 &amp; <b>"


def section(cells: int, latents: int, text: str = "a") -> Section:
    """A section with as many cells, each with a curve, and latents of the first of them."""
    spec = load(ROOT / "saespec" / "cli" / "templates" / "quick.yaml").spec
    spec = spec.model_copy(update={"title": text, "description": text})
    ids = [f"{number:012x}" for number in range(cells)]
    wide = {f"column{i}": [(number * (i + 1) % 997) / 997 for number in range(cells)] for i in range(25)}
    table = pa.table({"case_name": [f"case {n % 7}" for n in range(cells)], **wide})
    columns, shared = packed.columns(table, table.column_names)
    steps = 25
    parts = ("step", "loss", "reconstruction_loss", "sparsity_loss", "l0", "mmcs")
    curves = pa.table(
        {"cell": [cell for cell in ids for _ in range(steps)]}
        | {name: [float(n % steps) for n in range(cells * steps)] for name in parts}
    )
    own = pa.table({"cell": [ids[0]] * latents, "latent": list(range(latents)), "density": [0.5] * latents})
    data = {
        "charts": {},
        "cells": {"ids": ids, "columns": columns, "settings": ["case_name"], "shared": shared, "about": {}},
        "curves": packed.by_cell(curves, ids, parts),
        "latents": packed.by_cell(own, ids[:1], ("latent", "density")),
        "examples": {ids[0]: [[3, 1.5, 0, 7, [text, [text, 1.5]]]]},
    }
    claim = {"name": "c", "says": text, "source": text, "holds": None, "why": text, "numbers": {"n": text}}
    return Section(
        spec,
        text,
        [Shown("f", text, "")],
        [{**claim, "sql": text, "condition": text}],
        {"m": text},
        [text],
        data,
    )


@needs_browser
def test_texts_are_texts_whatever_they_say(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page([section(2, 5, EVIL)]))
    with opened(file) as browser:
        browser.until(lambda: browser.run("return document.documentElement.dataset.ready"))
        assert browser.driver.title.startswith("</script><img")  # not "hacked"
        assert browser.run("return document.querySelectorAll('img[onerror]').length") == 0
        assert any("onerror" in text for text in browser.texts(".example"))
        assert browser.complaints() == []


@needs_browser
def test_ten_thousand_cells_and_five_thousand_latents_stay_usable(tmp_path: Path) -> None:
    text = page([section(10_000, 5_000)])
    assert len(text.encode()) < 15_000_000
    file = tmp_path / "report.html"
    file.write_text(text)
    with opened(file) as browser:
        browser.until(lambda: browser.run("return document.documentElement.dataset.ready"))
        assert len(browser.all(ROWS)) < 100  # only those in view are in the document
        browser.run("document.querySelector('.cells .grid').scrollTop = 9990 * 26")
        browser.until(lambda: browser.all(".cells tr[data-row='9999']"))
        browser.write(".cells input", "case_name~case column3>0.9 column4<0.1")
        assert re.fullmatch(r"\d+ of 10,000", browser.texts(".cells [role=status]")[0])
        browser.run("document.querySelector('.latents .grid').scrollTop = 4990 * 26")
        browser.until(lambda: browser.all(".latents tr[data-row='4999']"))


def test_charts_can_be_zoomed_and_filtered_where_that_helps() -> None:
    x, y = ({"field": name, "type": "quantitative"} for name in ("a", "b"))
    color = {"field": "c", "type": "nominal"}
    line = {"mark": "line", "encoding": {"x": x, "y": y, "color": color}}
    rule = {"data": {"values": [{"a": 1}]}, "mark": {"type": "rule", "opacity": 0.5}, "encoding": {"x": x}}
    made = interactive({"layer": [rule, line], "usermeta": {"saespec": {}}})
    drawn = made["layer"][1]
    assert [param["bind"] for param in drawn["params"]] == ["scales", "legend"]
    assert drawn["encoding"]["opacity"]["condition"]["param"] == drawn["params"][1]["name"]
    assert "params" not in made["layer"][0]
    assert "usermeta" not in made
    (zoom, legend) = interactive({"data": {"values": []}, **line})["params"]
    assert (zoom["bind"], legend["bind"]) == ("scales", "legend")
    names = {"field": "a", "type": "ordinal"}
    heat = interactive({"mark": "rect", "encoding": {"x": names, "y": names, "color": y}})
    assert "params" not in heat
    assert heat["config"]["mark"]["tooltip"]
