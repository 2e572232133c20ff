"""A tiny project, and a stand-in for the `saespec` command whose stages write small text files at once.

What the stand-in writes depends on the plan just as the real outputs do, and it notes each call in `calls`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from saespec.plan.build import plan as build
from saespec.plan.model import Plan
from saespec.spec.language.load import load

SPEC = """\
version: 1
name: tiny
title: A tiny spec
data: {kind: toy, dim: 8, features: 16, active: 2}
sae: {kind: relu, latents: 8}
loss:
  reconstruction: mean
  sparsity: {kind: l1, coefficient: 0.1, per: latents}
train: {steps: 10, batch: 4, optimizer: {lr: 0.001}}
sweep:
  grid:
    loss.sparsity.coefficient: [0.1, 1.0]
    sae.latents: [8, 16]
measure: [recovery]
figures:
  fig01:
    title: One
    sql: select latents, mmcs from cells
    vega_lite: {mark: point}
claims:
  fine:
    says: It works.
    sql: select max(mmcs) as best from cells
    holds: best > 0
"""

NAMED_CASES = SPEC.replace(
    "    sae.latents: [8, 16]\n", "  cases: [{name: small}, {name: large, sae.latents: 16}]\n"
)
"""The same cells, made by named cases."""

STAND_IN = """\
#!{python}
import json, os, re, signal, sys, time
from pathlib import Path

sys.path.insert(0, "{repository}")

stage = os.environ["DVC_STAGE"].rpartition(":")[2]


def note(text):
    with open("calls", "a") as file:
        file.write(text + "\\n")


def event(kind, error="", damaged=""):
    if os.environ.get("SAESPEC_EVENTS"):
        with open(os.environ["SAESPEC_EVENTS"], "a") as file:
            file.write(json.dumps(dict(stage=stage, event=kind, error=error, damaged=damaged)) + "\\n")


def stop(number, frame):
    note("interrupted " + stage)
    sys.exit(130)


note(stage)
if "SAESPEC_DEVICE" in os.environ:
    note("seen " + os.environ["SAESPEC_DEVICE"] + " " + os.environ["SAESPEC_VERBOSITY"])
event("start")
kind, path = sys.argv[2], Path((sys.argv + [""])[3])
trouble = json.loads(os.environ.get("TROUBLE", "{{}}")).get(stage)
if trouble == "fail":
    event("failed", "no space left")
    sys.exit(3)
if trouble == "damage" or (trouble == "damage once" and not Path("withdrawn").exists()):
    Path("withdrawn").write_text("")
    event("damaged", "a.bin: torn. Run it again", "a.bin: torn")
    sys.exit(1)
if trouble == "die":
    os.kill(os.getpid(), signal.SIGKILL)
if trouble == "slow":
    signal.signal(signal.SIGINT, stop)
    Path("slow.pid").write_text(str(os.getpid()))
    time.sleep(4)
if trouble == "pause":
    time.sleep(1)
if kind == "report":
    Path("results/report.md").write_text("report")
    event("done")
    sys.exit()
if kind == "plan":
    from saespec.plan import dvcfile, identity, planfile
    from saespec.plan.build import plan as build
    from saespec.spec.language.load import load

    identity.NUMERICS = int(os.environ.get("NUMERICS", identity.NUMERICS))
    root = Path.cwd()
    plan = build(load(path, root=root), root)
    if not dvcfile.is_current(plan, root):
        sys.exit(dvcfile.remedy(plan))
    (root / plan.folder / "plan.json").write_bytes(planfile.dump(plan))
    event("done")
    sys.exit()
plan = json.loads(path.read_text())
folder = path.parent
ids = [cell["id"] for cell in plan["cells"]]
if kind == "train":
    store = Path(os.environ.get("SAESPEC_STORE", ".saespec/store")) / "cells"
    store.mkdir(parents=True, exist_ok=True)
    for cell in plan["cells"]:
        if "-".join(re.findall("-([db][0-9]+)", cell["group"])) == sys.argv[5]:
            out = folder / "cells" / cell["group"]
            out.mkdir(parents=True, exist_ok=True)
            file = store / (cell["id"] + ".safetensors")
            if not file.exists():
                note("trained " + cell["id"])
                file.write_text(cell["id"])
            (out / file.name).write_text(file.read_text())
elif kind == "measure":
    (folder / "tables").mkdir(exist_ok=True)
    for name in ("cells", "curves", "truth"):
        (folder / "tables" / (name + ".parquet")).write_text(name + " ".join(ids) + str(plan["spec"]["measure"]))
elif kind == "figures":
    (folder / "figures").mkdir(exist_ok=True)
    for name, figure in plan["spec"]["figures"].items():
        for suffix in ("svg", "png", "vl.json"):
            (folder / "figures" / f"{{name}}.{{suffix}}").write_text(suffix + json.dumps(figure) + ids[0])
elif kind == "claims":
    (folder / "claims.json").write_text(json.dumps(plan["spec"]["claims"]))
event("done")
"""


def make(root: Path, name: str = "tiny", text: str = SPEC) -> Path:
    """Write a project with one spec; return the spec's path."""
    path = root / "specs" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("name: tiny", f"name: {name}"))
    return path


def planned(spec: Path, root: Path) -> Plan:
    return build(load(spec, root=root), root)


def stand_in(folder: Path) -> Path:
    """Write the stand-in as `saespec` into a folder; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "saespec"
    program.write_text(STAND_IN.format(python=sys.executable, repository=Path(__file__).parent.parent))
    program.chmod(0o755)
    return folder


def calls(root: Path) -> list[str]:
    """Take what the stand-in noted since the last time."""
    path = root / "calls"
    noted = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return noted


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
