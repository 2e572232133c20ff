"""`saespec schema`: the JSON Schema of specs, for editors."""

from __future__ import annotations


def schema() -> None:
    """Print the JSON Schema of the spec language.

    A spec's first line `# yaml-language-server: $schema=FILE` makes editors complete and explain it.
    """
    from saespec.cli import output
    from saespec.spec.language.schema import json_schema

    output.json(json_schema())
