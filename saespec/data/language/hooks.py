"""Which hook of a block a site means, in the families of models that the code knows, and what to say if it is none."""

from __future__ import annotations

from saespec.plan.inputs import site_key
from saespec.spec.families import NAMES_OF_PLACES, Family
from saespec.spec.transformer import Site


def hook(site: Site, known: Family) -> tuple[str, str | None]:
    """The number of a place's or a name's block, and its hook in it, None if there is none of that name."""
    if site.place is not None:
        place = "resid_pre" if site.place == "embed" else site.place
        return str(site.layer or 0), known.places.get(place)
    assert site.name is not None
    if site.name == "hook_embed":
        return "embedding", None
    start, _, rest = site.name.partition(".")
    layer, _, name = rest.partition(".")
    if start != "blocks":
        return "", None
    return layer, known.hook_of(name)


def refusal(site: Site, known: Family, blocks: int) -> str | None:
    """What to say of a place or name that a model of so many blocks lacks; None if it has it."""
    layer, found = hook(site, known)
    if layer == "embedding" or (found is not None and layer.isdecimal() and int(layer) < blocks):
        return None
    return f"the model has no site {site_key(site)}: {_listed(site, known, blocks)}"


def _listed(site: Site, known: Family, count: int) -> str:
    layers = f"0 to {count - 1}" if count > 1 else "0"
    if site.place is not None:
        return f"it has embed, and in layers {layers} {', '.join(known.places)}"
    of_places = [name for name, place in NAMES_OF_PLACES.items() if place in known.places]
    names = sorted({*known.names, *of_places})
    return f"it has hook_embed, and with L from {layers} {', '.join(f'blocks.L.{name}' for name in names)}"
