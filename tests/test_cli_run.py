"""The whole way, with real DVC: run, edit, ask, interrupt, continue."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from cli_sample import Cli, Said, edit, matches_golden, write

import saespec


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Said]:
    """A project whose spec ran once, and what that printed."""
    root = tmp_path_factory.mktemp("ran")
    write(root)
    done = subprocess.run(
        [sys.executable, "-m", "saespec", "run"],
        cwd=root,
        env={**os.environ, "COLUMNS": "100", "PYTHONPATH": str(Path(saespec.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    return root, Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def ran(first_run: tuple[Path, Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that project, with the working directory in it."""
    root = tmp_path / "project"
    shutil.copytree(first_run[0], root)
    monkeypatch.chdir(root)
    return root


def stages_run(root: Path) -> list[str]:
    """The stages that the last run ran."""
    events = [json.loads(line) for line in (root / ".saespec/logs/tiny.events").read_text().splitlines()]
    return [event["stage"] for event in events if event["event"] == "done"]


def tracked(root: Path) -> dict[str, bytes]:
    """Every result but timings and what DVC and git need."""
    files = [path for path in (root / "results").rglob("*") if path.is_file()]
    names = {path: str(path.relative_to(root)) for path in files}
    other = ("runs.parquet", "dvc.lock", ".gitignore")
    return {name: path.read_bytes() for path, name in names.items() if not name.endswith(other)}


def test_the_first_run(first_run: tuple[Path, Said]) -> None:
    root, said = first_run
    assert said.code == 0, said.err
    assert said.out.startswith(
        "tiny: A tiny spec\n2 cells in 1 group; 2 to train, about 13 s\n\nclaims   1 of 2 claims hold\n"
    )
    assert "figures  results/tiny/figures/curve.png\n" in said.out
    assert "  train-d8-b32  2 cells  best MMCS 0." in said.err
    assert "Running stage" not in said.out + said.err, "DVC's chatter is shown"
    assert {"cells.parquet", "curves.parquet", "truth.parquet"} == {
        p.name for p in (root / "results/tiny/tables").iterdir()
    }


def test_a_damaged_dvc_lock_is_started_anew(cli: Cli, ran: Path) -> None:
    """DVC writes it in place: a kill at that moment must not block the same command."""
    (ran / "results/tiny/dvc.lock").write_text("")
    said = cli("run", "tiny")
    assert said.code == 0, said.err
    assert "dvc.lock is damaged: starting it anew" in said.err


def test_the_second_run_does_nothing(cli: Cli, ran: Path) -> None:
    before = tracked(ran)
    said = cli("run")
    assert (said.code, said.err) == (0, "")
    assert "everything is up to date" in said.out
    assert tracked(ran) == before
    (entry,) = cli("run", "--json").json["specs"]
    assert (entry["ran"], entry["trained"], entry["stage_seconds"]) == ([], 0, {})
    assert cli("run", "-q").out == "tiny: done, 1 of 2 claims hold\n"


def test_the_example_that_run_prints_runs(cli: Cli, ran: Path) -> None:
    asked, opened = (line.partition("saespec ")[2].split(" ", 1) for line in cli("run").out.splitlines()[-2:])
    said = cli(asked[0], asked[1].strip('"'))
    assert said.code == 0
    assert "sparsity_coefficient" in said.out
    assert cli(*opened).code == 0
    assert (ran / "report.html").exists()


def test_strict_fails_for_a_claim_that_does_not_hold(cli: Cli, ran: Path) -> None:
    assert cli("run", "--strict").code == 1
    assert cli("claims", "--strict").code == 1
    assert cli("claims").code == 0
    edit(ran, "holds: best > 1", "holds: best > 0")
    assert cli("claims", "--strict").code == 0


def test_claims(cli: Cli, ran: Path) -> None:
    said = cli("claims")
    assert (said.code, said.err) == (0, "")
    matches_golden("claims.txt", said.out)
    (found,) = cli("claims", "tiny", "--json").json["specs"]
    assert [(claim["claim"], claim["holds"]) for claim in found["claims"]] == [
        ("measured", True),
        ("perfect", False),
    ]
    assert found["claims"][0]["numbers"] == {"measured": 2, "cells": 2}


def test_status(cli: Cli, ran: Path) -> None:
    write(ran, "other")
    write(ran, "wrong", "version: 2\nname: wrong\n")
    edit(ran, "title: MMCS against", "title: MMCS over")
    states = {one["spec"]: one["state"] for one in cli("status", "--json").json["specs"]}
    assert states == {"other": "missing", "tiny": "stale", "wrong": "invalid"}
    edit(ran, "title: MMCS over", "title: MMCS against")
    assert cli("status", "tiny").out == "tiny  fresh    1 of 2 claims hold\n"
    with (ran / "results/tiny/tables/cells.parquet").open("r+b") as file:
        file.seek(200)
        file.write(b"x")
    said = cli("status", "tiny")
    assert "damaged" in said.out
    assert "cells.parquet" in said.out
    assert cli("claims", "tiny").code == 1


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("claims.json", '"holds": false', '"holds": true'), ("figures/curve.vl.json", "0.05", "0.06")],
)
def test_altered_claims_and_charts_are_refused_and_run_makes_them_again(
    cli: Cli, ran: Path, name: str, old: str, new: str
) -> None:
    before = tracked(ran)
    path = ran / "results/tiny" / name
    path.write_text(path.read_text().replace(old, new))
    told = f"{name}: its bytes are not those that saespec wrote (checksum). Delete it and run the spec again"
    (entry,) = cli("status", "--json").json["specs"]
    assert entry["state"] == "damaged"
    assert told in entry["detail"]
    said = cli("show", f"results/tiny/{name}")
    assert (said.code, said.out) == (1, "")
    assert told in said.err
    if name == "claims.json":
        assert told in cli("sql", "from claims").err
    assert cli("run").code == 0
    assert tracked(ran) == before


def test_results_of_an_older_saespec_are_made_again_by_run(cli: Cli, ran: Path) -> None:
    """They say nothing about where they came from, and DVC holds them for what its stages wrote."""
    from saespec.plan.stages import DRAWINGS, versions

    before = tracked(ran)
    older = versions().rpartition("-")[0] + f"-{DRAWINGS - 1}"
    lock = ran / "results/tiny/dvc.lock"
    text = lock.read_text().replace(f"--versions {versions()}", f"--versions {older}")
    hashes = json.loads((ran / "results/tiny/plan.json").read_text())["fingerprints"]
    for stage in ("figures", "claims"):
        text = text.replace(hashes[stage], "0" * 64)
    for name in ("claims.json", "figures/curve.vl.json"):
        path = ran / "results/tiny" / name
        old = hashlib.md5(path.read_bytes()).hexdigest()
        content = json.loads(path.read_text())
        content.pop("usermeta", None)
        path.write_text(json.dumps(content.get("claims", content)))
        text = text.replace(old, hashlib.md5(path.read_bytes()).hexdigest())
    lock.write_text(text)
    for name in ("claims.json", "figures/curve.vl.json"):
        said = cli("show", f"results/tiny/{name}")
        assert (said.code, said.out) == (1, "")
        assert "it does not say where it came from: an older saespec wrote it" in said.err
        assert "Delete it and run the spec again" in said.err
    assert cli("sql", "from claims").code == 1
    assert "an older saespec wrote it" in cli("status").out
    said = cli("run")
    assert said.code == 0, said.err
    assert stages_run(ran) == ["plan", "figures", "claims"]
    assert tracked(ran) == before


def test_a_clean_project_leads_dvc_to_nothing_that_is_gone(cli: Cli, ran: Path) -> None:
    write(ran, "other")
    assert cli("compile").code == 0
    (ran / "specs/other.yaml").unlink()
    repro = [sys.executable, "-m", "dvc", "repro", "-q"]
    assert subprocess.run(repro, cwd=ran, capture_output=True).returncode != 0
    said = cli("clean", "--yes")
    assert said.code == 0, said.err
    done = subprocess.run(repro, cwd=ran, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = (ran / "results/report.md").read_text()
    assert [line for line in report.splitlines() if line.startswith("##")] == ["## A tiny spec (`tiny`)"]
    assert cli("run", "--json").json["specs"][0]["ran"] == []


def test_an_edited_figure_is_redrawn_and_nothing_else(cli: Cli, ran: Path) -> None:
    before = tracked(ran)
    edit(ran, "title: MMCS against", "title: MMCS over")
    said = cli("plan")
    assert "figure curve changed" in said.out
    assert "nothing to train; to run: plan, figures" in said.out
    said = cli("run", "--json")
    assert said.code == 0
    assert said.json["specs"][0]["ran"] == stages_run(ran) == ["plan", "figures"]
    changed = {name for name, data in tracked(ran).items() if data != before.get(name)}
    assert changed == {
        "results/tiny/plan.json",
        *(f"results/tiny/figures/curve.{s}" for s in ("svg", "png", "vl.json")),
    }


def test_figures_draws_the_spec_as_it_is_from_the_tables_as_they_are(cli: Cli, ran: Path) -> None:
    shutil.rmtree(ran / ".saespec")
    shutil.rmtree(ran / "results/tiny/cells")
    edit(ran, "title: MMCS against", "title: MMCS over")
    said = cli("figures")
    assert (said.code, said.out, said.err) == (0, "results/tiny/figures/curve.png\n", "")
    assert b"MMCS over" in (ran / "results/tiny/figures/curve.vl.json").read_bytes()
    assert not (ran / "results/tiny/cells").exists()
    edit(ran, "[0.05, 0.3]", "[0.05, 0.3, 1.0]")
    said = cli("figures")
    assert said.code == 0
    assert "specs/tiny.yaml changed since its tables were made" in said.err
    write(ran, "other")
    said = cli("figures", "other")
    assert said.code == 1
    assert "saespec run specs/other.yaml" in said.err


def test_only_new_cells_train(cli: Cli, ran: Path) -> None:
    edit(ran, "[0.05, 0.3]", "[0.05, 0.3, 1.0]")
    assert "+1 cell: loss.sparsity.coefficient 1.0" in cli("plan").out
    said = cli("run")
    assert said.code == 0
    assert "1 cell (2 done before)" in said.err
    rows = cli(
        "sql",
        "select c.sparsity_coefficient as l1, count(*) as runs from tiny.runs join tiny.cells c using (cell)"
        " group by 1 order by 1",
        "--format",
        "json",
    ).json
    assert rows == [{"l1": 0.05, "runs": 1}, {"l1": 0.3, "runs": 1}, {"l1": 1.0, "runs": 1}]


def test_dvc_repro_alone_does_the_same(cli: Cli, ran: Path) -> None:
    edit(ran, "holds: best > 1", "holds: best > 0")
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=ran, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((ran / "results/tiny/claims.json").read_text())["claims"]["perfect"]["holds"] is True
    assert (
        "| Fifty steps are enough to recover everything. | holds |" in (ran / "results/report.md").read_text()
    )
    assert "everything is up to date" in cli("run").out
    edit(ran, "latents: 12", "latents: 16")
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=ran, env=env, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "run `saespec compile specs/tiny.yaml`" in done.stderr


def test_sql(cli: Cli, ran: Path) -> None:
    query = "select sparsity_coefficient as l1, steps, null as nothing from tiny.cells order by 1"
    assert cli("sql", query).out == "  l1  steps  nothing\n0.05     50\n 0.3     50\n2 rows\n"
    assert cli("sql", query, "--format", "csv").out == "l1,steps,nothing\n0.05,50,\n0.3,50,\n"
    assert cli("sql", query, "--format", "json").json[1] == {"l1": 0.3, "steps": 50, "nothing": None}
    assert cli("sql", "from cells select count(*) as n", "--spec", "tiny", "--format", "json").json == [
        {"n": 2}
    ]
    assert cli("sql", query, "-o", "out.parquet").code == 0
    assert duckdb.connect().execute("select sum(steps) from 'out.parquet'").fetchall() == [(100,)]
    said = cli("sql", "select stepps from cells")
    assert (said.code, said.out) == (2, "")
    assert "stepps" in said.err
    assert cli("sql", query, "--format", "parquet").code == 2
    assert cli("sql", query, "--spec", "nothing").code == 2


def test_what_a_figure_does_not_show_is_in_the_report_and_in_show(cli: Cli, ran: Path) -> None:
    assert cli("stage", "report").code == 0
    assert "Not drawn" not in (ran / "results/report.md").read_text()
    edit(
        ran,
        "select sparsity_coefficient, mmcs",
        "select sparsity_coefficient, nullif(mmcs, max(mmcs) over ()) as mmcs",
    )
    assert cli("figures").code == 0
    assert cli("stage", "report").code == 0
    line = "1 of 2 values of mmcs is NULL and not drawn"
    report = (ran / "results/report.md").read_text()
    assert report.endswith(f" |\n\n- Not drawn: curve: {line}\n")
    chart = "results/tiny/figures/curve.vl.json"
    assert f"\n  {line}\n" in cli("show", chart).out
    assert cli("show", chart, "--json").json["not_drawn"] == [line]
    assert cli("status", "--json").json["specs"][0]["state"] != "damaged"


def test_show(cli: Cli, ran: Path) -> None:
    found = cli("show", "results/tiny/tables/cells.parquet", "--json").json
    assert (found["kind"], found["row_count"]) == ("table", 2)
    assert found["provenance"]["spec"] == "tiny"
    assert {column["name"]: column["unit"] for column in found["columns"]}["mmcs"] == "cosine"
    (checkpoint, _) = sorted((ran / "results/tiny/cells").rglob("*.safetensors"))
    found = cli("show", str(checkpoint), "--json").json
    assert {tensor["name"]: tensor["shape"] for tensor in found["tensors"]}["decoder"] == [12, 8]
    assert found["config"]["train"]["steps"] == 50
    for name in ("plan.json", "claims.json", "figures/curve.vl.json", "tables/cells.parquet"):
        said = cli("show", f"results/tiny/{name}")
        assert said.code == 0
        assert said.out.startswith(f"results/tiny/{name}: ")
    table, claims, chart = (
        cli("show", f"results/tiny/{name}", "--json").json["provenance"]
        for name in ("tables/cells.parquet", "claims.json", "figures/curve.vl.json")
    )
    hashes = json.loads((ran / "results/tiny/plan.json").read_text())["fingerprints"]
    assert claims.pop("claims_hash") == hashes["claims"]
    assert chart.pop("figure_hash") == hashes["figures"], "its only figure"
    assert chart.pop("vega_lite").startswith("https://vega.github.io/schema/vega-lite/")
    assert claims == chart == {key: table[key] for key in table.keys() - {"table", "format"}}
    checkpoint.write_bytes(checkpoint.read_bytes()[:-3])
    said = cli("show", str(checkpoint))
    assert (said.code, said.out) == (1, "")
    assert checkpoint.name in said.err
    assert cli("show", "specs/tiny.yaml").code == cli("show", "nothing.parquet").code == 2


def test_explain(cli: Cli, ran: Path) -> None:
    cell = cli("sql", "select cell from cells where sparsity_coefficient = 0.3", "--format", "json").json[0][
        "cell"
    ]
    found = cli("explain", cell[:5], "--json").json
    assert (found["name"], found["in_store"]) == (cell, True)
    assert Path(found["checkpoint"]).exists()
    assert 0 < found["row"]["mmcs"] < 1
    assert cli("explain", "truth", "--json").json["provenance"]["table"] == "truth"
    assert cli("explain", "perfect", "--json").json["verdict"]["holds"] is False
    assert len(cli("explain", "curve", "--json").json["files"]) == 3


def test_json_says_what_ran_and_not_what_was_to_run(cli: Cli, ran: Path) -> None:
    """The cells come from DVC's cache: nothing runs, and nothing is trained though the store is empty."""
    shutil.rmtree(ran / ".saespec")
    shutil.rmtree(ran / "results/tiny/cells")
    said = cli("plan")
    assert "2 cells in 1 group; nothing to run: DVC's cache has what is missing\n" in said.out
    assert "  train-d8-b32  restored  results/tiny/cells/relu-d8-n12-b32-s50 is missing\n" in said.out
    assert cli("plan", "--json").json["specs"][0]["to_train"] == 0
    (entry,) = cli("run", "--json").json["specs"]
    assert (entry["ran"], entry["trained"]) == ([], 0)
    edit(ran, "[0.05, 0.3]", "[0.05, 1.0]")
    (entry,) = cli("run", "--json").json["specs"]
    assert entry["ran"] == ["plan", "train-d8-b32", "measure", "figures", "claims"]
    assert entry["trained"] == 2, "0.05 is not in the store any more"
    assert list(entry["stage_seconds"]) == entry["ran"]
    assert all(0 < seconds < 60 for seconds in entry["stage_seconds"].values())
    edit(ran, "[0.05, 1.0]", "[0.05, 0.3, 1.0]")
    (entry,) = cli("run", "--json").json["specs"]
    assert (entry["ran"][1], entry["trained"]) == ("train-d8-b32", 1)


def test_json_of_a_run_that_fails_says_what_ran_before(cli: Cli, ran: Path) -> None:
    edit(ran, "[0.05, 0.3]", "[0.05, 0.3, 1.0]")
    shutil.rmtree(ran / "results/tiny/figures")
    (ran / "results/tiny/figures").write_text("in the way\n")
    said = cli("run", "--json")
    assert (said.code, said.json["ok"], said.json["error"]["kind"]) == (1, False, "stage")
    (entry,) = said.json["specs"]
    assert entry["ran"][:3] == ["plan", "train-d8-b32", "measure"]
    assert "figures" not in entry["ran"]
    assert entry["trained"] == 1
    assert "specs" not in cli("plan", "nothing", "--json").json, "another command's error says nothing of it"


def test_settings_lead_to_a_scratch_project(cli: Cli, ran: Path) -> None:
    before = tracked(ran)
    said = cli("run", "tiny", "--set", "sweep.grid.loss.sparsity.coefficient=[0.3]")
    assert said.code == 0, said.err
    assert "with --set: results go to .saespec/scratch/tiny-" in said.out
    assert "1 cell  all done before" in said.err, "the store is shared"
    assert tracked(ran) == before
    line = said.out.splitlines()[-1].split()
    assert cli("sql", "--project", line[line.index("--project") + 1], "from cells").code == 0


def test_a_stage_that_fails_says_so_once_and_the_same_command_continues(cli: Cli, ran: Path) -> None:
    edit(ran, "title: MMCS against", "title: MMCS over")
    shutil.rmtree(ran / "results/tiny/figures")
    (ran / "results/tiny/figures").write_text("in the way\n")
    said = cli("run")
    assert said.code == 1
    assert said.err.count("error: stage figures failed: cannot write results/tiny/figures") == 1
    assert "the same command continues" in said.err
    assert "ERROR" not in said.err
    (ran / "results/tiny/figures").unlink()
    assert cli("run").code == 0


def test_a_stage_that_refuses_the_spec_promises_nothing(cli: Cli, project: Path) -> None:
    """What the spec asks for does not exist: exit code 2, as for what `validate` finds wrong without loading torch."""
    (project / "text.jsonl").write_text("".join(f'{{"text": "some text, {i} words"}}\n' for i in range(200)))
    edit(
        project,
        "data: {kind: toy, dim: 8, features: 12, active: 2}",
        "data: {kind: transformer, model: {kind: trained, layers: 1, width: 8, heads: 1, mlp: 8, context: 16,"
        " activation: gelly, tokenizer: {kind: bpe, vocabulary: 257}, train: {tokens: 64, batch: 1, lr: 0.01}},"
        " site: {layer: 0, place: mlp_out}, corpus: {kind: files, paths: [text.jsonl], held_out: 0.3},"
        " dim: 8, tokens: 100, held_out_tokens: 50, context: 16, dtype: float32}",
    )
    spec = project / "specs/tiny.yaml"
    spec.write_text(spec.read_text().partition("figures:")[0].replace("[recovery, losses]", "[losses]"))
    said = cli("run")
    assert said.code == 2
    (line,) = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert "transformers has no activation function 'gelly'" in line
    assert line.startswith("error: stage model-")
    assert "the same command continues" not in said.err


@pytest.mark.parametrize("command", ["validate", "plan", "compile", "run"])
def test_results_behind_a_symbolic_link_are_refused_beforehand(
    cli: Cli, project: Path, tmp_path_factory: pytest.TempPathFactory, command: str
) -> None:
    (project / "results").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    said = cli(command, "specs/tiny.yaml")
    assert said.code == 2
    assert "error: results is a symbolic link, behind which DVC tracks nothing: make it a folder." in said.err
    assert not list((project / "results").iterdir())


def test_a_store_behind_a_symbolic_link_works(
    cli: Cli, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (project / ".saespec").mkdir()
    (project / ".saespec/store").symlink_to(elsewhere)
    assert cli("run", "specs/tiny.yaml", "-q").code == 0
    assert len(list((elsewhere / "cells").iterdir())) == 2
    assert "everything is up to date" in cli("run", "specs/tiny.yaml").out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(cli: Cli, ran: Path) -> None:
    edit(ran, "title: MMCS against", "title: MMCS over")
    (ran / "results/tiny/figures").chmod(0o500)
    said = cli("run")
    (ran / "results/tiny/figures").chmod(0o700)
    assert said.code == 1
    assert "cannot write" in said.err
    assert cli("run").code == 0


def test_interrupted_and_continued_gives_the_same_bytes(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    edit(tmp_path, "steps: 50", "steps: 20000")
    package = str(Path(saespec.__file__).parents[1])
    env = {**os.environ, "PYTHONPATH": package, "SAESPEC_SNAPSHOT_SECONDS": "0.2"}
    process = subprocess.Popen(
        [sys.executable, "-m", "saespec", "run"], env=env, stderr=subprocess.PIPE, text=True
    )
    partial = tmp_path / ".saespec/store/partial"
    while not (partial.exists() and list(partial.glob("*.safetensors"))):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.endswith("stopped; the same command continues\n")
    assert "ERROR" not in err
    assert list(partial.iterdir())
    env["SAESPEC_STORE"] = str(tmp_path / "elsewhere")
    (plan,) = (tmp_path / "results").glob("*/plan.json")
    subprocess.run(
        [sys.executable, "-m", "saespec", "stage", "train", plan, "--id", "d8-b32"], env=env, check=True
    )
    undisturbed = {path.name: path.read_bytes() for path in (tmp_path / "elsewhere/cells").iterdir()}
    shutil.rmtree(tmp_path / "results/tiny/cells")
    assert cli("run", "-q").code == 0
    sql = "select cell, sum(steps) as steps, min(steps) > 0 as all_did from runs group by all"
    rows = cli("sql", sql, "--format", "json").json
    assert [(row["steps"], row["all_did"]) for row in rows] == [(2 * 20000, True)] * 2, "here and elsewhere"
    assert {
        path.name: path.read_bytes() for path in (tmp_path / ".saespec/store/cells").iterdir()
    } == undisturbed
