from __future__ import annotations

from pathlib import Path

from clean_sample import put, ran

from saespec.results import document
from saespec.stages.report import report

VERDICT = {
    "says": "It works.",
    "source": "",
    "holds": True,
    "why": "",
    "numbers": {"best": 0.5},
    "condition": "best > 0",
    "sql": "",
}


def test_the_report_leaves_out_results_without_a_spec(tmp_path: Path) -> None:
    verdicts = document.encode(
        {"claims": {"fine": VERDICT}}, document.CLAIMS, {"device": "cpu", "version": "1"}
    )
    for name in ("tiny", "gone", "large"):
        ran(tmp_path, name)
        put(tmp_path / f"results/{name}/claims.json", verdicts)
    put(tmp_path / "results/theirs/claims.json", verdicts)
    (tmp_path / "specs/gone.yaml").unlink()
    text = report(tmp_path).read_text()
    assert [line for line in text.splitlines() if line.startswith("##")] == [
        "## A tiny spec (`large`)",
        "## A tiny spec (`tiny`)",
    ]
    assert "| It works. | holds | best = 0.5 |" in text
