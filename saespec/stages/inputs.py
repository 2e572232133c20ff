"""`saespec stage model` and `extract`: make what cells on transformer activations need, unless the store has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saespec.errors import CallError, StageError
from saespec.plan import inputs, planfile
from saespec.plan.project import store_folder
from saespec.results.atomic import write_bytes
from saespec.results.lock import Notify, Stop
from saespec.spec.transformer import TransformerData

Report = Callable[[float, str], None]
"""Told the share that is done, and what there is to say."""


def model(
    plan_path: Path,
    model_id: str,
    report: Report = lambda share, told: None,
    stop: Stop = lambda: False,
    notify: Notify = lambda message: None,
) -> None:
    """Train the model of that id, and note in the results folder what came out.

    Raises Interrupted once `stop()` is true, with everything saved.
    """
    plan = planfile.read(plan_path)
    needed = inputs.trained_models(plan.cells)
    if model_id not in needed:
        raise CallError(f"{plan_path} has no model {model_id}: it has {', '.join(needed) or 'none'}")
    data, root = needed[model_id], Path.cwd()
    store = store_folder(root)
    from saespec.data.models import model_is_finished, train_model, verified
    from saespec.data.store import file_sha256

    from .device import device

    if not model_is_finished(store, data):

        def told(step: int, steps: int, loss: float) -> None:
            report(step / steps, f"step {step:,}/{steps:,}  loss {loss:.3f}")

        train_model(data, store, root, device(), told, stop, notify)
    mark = store / inputs.model_mark(data)
    _refuse_other_text(verified(mark.parent)["corpus_sha256"], data, root, f"model {model_id}")
    weights = mark.with_name("model.safetensors")
    _note(
        plan_path,
        f"model-{model_id}",
        {"model": model_id, "weights": file_sha256(weights), "training": file_sha256(mark)},
    )


def extract(
    plan_path: Path,
    extraction_id: str,
    report: Report = lambda share, told: None,
    stop: Stop = lambda: False,
    notify: Notify = lambda message: None,
) -> None:
    """Extract the activations of that id at every site that the store lacks, and note what is there.

    Raises Interrupted once `stop()` is true, with everything saved.
    """
    plan = planfile.read(plan_path)
    needed = {one.id: one for one in inputs.extractions(plan.cells)}
    if extraction_id not in needed:
        raise CallError(
            f"{plan_path} has no extraction {extraction_id}: it has {', '.join(needed) or 'none'}"
        )
    one, root = needed[extraction_id], Path.cwd()
    store = store_folder(root)
    from saespec.data.extract import extract as run
    from saespec.data.extract import extraction_is_finished
    from saespec.data.store import file_sha256, read_manifest

    from .device import device

    if not extraction_is_finished(one, store):

        def told(tokens: int, of: int, rate: float) -> None:
            report(tokens / of, f"{tokens:,}/{of:,} tokens  {rate:,.0f} tokens/s")

        run(one, store, root, device(), told, stop, notify)
    for site in one.sites:
        mark = store / inputs.site_mark(one.data, site)
        key = inputs.site_key(site)
        manifest = read_manifest(mark.parent)
        _refuse_other_text(manifest.corpus_sha256, one.data, root, f"extraction {extraction_id}")
        note = {"extraction": extraction_id, "site": key, "manifest": file_sha256(mark)}
        _note(plan_path, f"{extraction_id}-{key}", note)


def _refuse_other_text(made_from: str, data: TransformerData, root: Path, what: str) -> None:
    """Cells are known by what the spec says of the corpus: other text must not stand under the same words."""
    from saespec.data.corpora import content_hash

    if content_hash(data.corpus, root) != made_from:
        raise StageError(
            f"the corpus is not the text that {what} was made from: give `data.corpus` another `revision:` (files), "
            "or install the packages again (python_sources)"
        )


def _note(plan_path: Path, name: str, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    write_bytes(plan_path.parent / "inputs" / f"{name}.json", text.encode())
