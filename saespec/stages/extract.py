"""`saespec stage extract`: run a model over a corpus and keep its activations, unless the store has them."""

from __future__ import annotations

from pathlib import Path

from saespec.errors import CallError
from saespec.plan import inputs, planfile
from saespec.plan.project import store_folder
from saespec.results.lock import Notify, Stop

from .inputs import Report, note, refuse_other_text


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
    from saespec.data.activations.extract import extract as run
    from saespec.data.activations.extract import extraction_is_finished
    from saespec.data.activations.store import file_sha256, read_manifest

    from .device import device

    if not extraction_is_finished(one, store):

        def told(tokens: int, of: int, rate: float) -> None:
            report(tokens / of, f"{tokens:,}/{of:,} tokens  {rate:,.0f} tokens/s")

        run(one, store, root, device(), told, stop, notify)
    for site in one.sites:
        mark = store / inputs.site_mark(one.data, site)
        key = inputs.site_key(site)
        manifest = read_manifest(mark.parent)
        refuse_other_text(manifest.corpus_sha256, one.data, root, f"extraction {extraction_id}")
        found = {"extraction": extraction_id, "site": key, "manifest": file_sha256(mark)}
        note(plan_path, f"{extraction_id}-{key}", found)
