"""What stages that make inputs of cells share: what they tell, refuse and note."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saespec.errors import StageError
from saespec.results.atomic import write_bytes
from saespec.spec.transformer import TransformerData

Report = Callable[[float, str], None]
"""Told the share that is done, and what there is to say."""


def refuse_other_text(made_from: str, data: TransformerData, root: Path, what: str) -> None:
    """Cells are known by what the spec says of the corpus: other text must not stand under the same words."""
    from saespec.data.text.corpora import content_hash

    if content_hash(data.corpus, root) != made_from:
        raise StageError(
            f"the corpus is not the text that {what} was made from: give `data.corpus` another `revision:` (files), "
            "or install the packages again (python_sources)"
        )


def note(plan_path: Path, name: str, content: dict[str, Any]) -> None:
    """Write a file of what came out into the results folder, for later stages to depend on."""
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    write_bytes(plan_path.parent / "inputs" / f"{name}.json", text.encode())
