"""`saespec stage model`: train a language model, unless the store has it."""

from __future__ import annotations

from pathlib import Path

from saespec.errors import CallError
from saespec.plan import inputs, planfile
from saespec.plan.project import store_folder
from saespec.results.lock import Notify, Stop

from .inputs import Report, note, refuse_other_text


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
    from saespec.data.activations.store import file_sha256
    from saespec.data.language.models import model_is_finished, train_model, verified

    from .device import device

    if not model_is_finished(store, data):

        def told(step: int, steps: int, loss: float) -> None:
            report(step / steps, f"step {step:,}/{steps:,}  loss {loss:.3f}")

        train_model(data, store, root, device(), told, stop, notify)
    mark = store / inputs.model_mark(data)
    refuse_other_text(verified(mark.parent)["corpus_sha256"], data, root, f"model {model_id}")
    weights = mark.with_name("model.safetensors")
    note(
        plan_path,
        f"model-{model_id}",
        {"model": model_id, "weights": file_sha256(weights), "training": file_sha256(mark)},
    )
