"""Numbers as people write them."""

from __future__ import annotations


def number_text(value: float) -> str:
    """A number in the fewest digits that tell it from every other: 0.1, 1000, 1e-05, 1234567, 1.0000001."""
    text = f"{value:g}"
    if float(text) == value:
        return text
    return str(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)
