"""Hook sites: where a model's activations are read, and where others are put in their place.

Plain hooks on the modules of `transformers` models; the model itself is never changed.

Legend: B contexts, T tokens of a context, D dimensions of a site.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from saespec.errors import CallError
from saespec.plan.inputs import site_key
from saespec.spec.families import Family, family
from saespec.spec.transformer import Site

from .hooks import hook, refusal

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class ResolvedSite:
    """A site in a given model."""

    module: str
    """Path of the module, as `named_modules` has it."""
    side: str
    """input | output: which of its tensors. Of several the first."""
    is_stream: bool = False
    """Whether the module's input is the residual stream itself, which goes on beside it."""


class _Done(Exception):
    """All wanted activations are there: the rest of the forward pass is not needed."""


@contextlib.contextmanager
def capture(model: PreTrainedModel, sites: Sequence[Site]) -> Iterator[dict[str, Tensor]]:
    """Collect activations [B, T, D] by site key during one forward pass, in the model's dtype.

    The pass ends at the deepest hooked module: write `with capture(model, sites) as found: model(…)` and take
    nothing from the call. Of a module that is called several times, the first call counts. Raises CallError for a
    site that the model lacks or that its forward pass never reaches.
    """
    wanted = {site_key(site): resolve(model, site) for site in sites}
    found: dict[str, Tensor] = {}

    def take(key: str) -> Callable[[Tensor], None]:
        def note(x_BTD: Tensor) -> None:
            found.setdefault(key, x_BTD)
            if len(found) == len(wanted):
                raise _Done

        return note

    with contextlib.ExitStack() as hooks:
        for key, site in wanted.items():
            hooks.enter_context(_hooked(model, site, take(key)))
        with contextlib.suppress(_Done):
            yield found
    for key, site in wanted.items():
        if key not in found:
            raise CallError(f"site {key}: the model's forward pass never runs {site.module}")


@contextlib.contextmanager
def replace(model: PreTrainedModel, site: Site, function: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Put `function(activations)` in the place of a site's activations [B, T, D] in every forward pass.

    Its values are taken in the model's own dtype, and the pass goes on with them. At a place on the residual
    stream the stream itself is replaced, not only what the next module reads. For use without gradients.
    Raises CallError for a site that the model lacks.
    """

    def change(x_BTD: Tensor) -> Tensor:
        return function(x_BTD).to(x_BTD.dtype)

    with _hooked(model, resolve(model, site), change):
        yield


@torch.no_grad()
def widths(model: PreTrainedModel, sites: Sequence[Site]) -> dict[str, int]:
    """Dimensions of each site by its key, by running a few tokens.

    Raises CallError as `capture` does, and for a site that has no vector for each token.
    """
    ids_BT = torch.zeros(2, 3, dtype=torch.int64, device=model.device)
    with capture(model, sites) as found:
        model(input_ids=ids_BT)
    for key, x_BTD in found.items():
        if x_BTD.shape[:2] != ids_BT.shape:
            raise CallError(
                f"site {key} has no vector for each token: it is of shape {tuple(x_BTD.shape)} "
                f"for tokens of shape {tuple(ids_BT.shape)}"
            )
    return {key: x_BTD.shape[-1] for key, x_BTD in found.items()}


@contextlib.contextmanager
def _hooked(
    model: PreTrainedModel, site: ResolvedSite, function: Callable[[Tensor], Tensor | None]
) -> Iterator[None]:
    """Call a function with a site's tensor in every forward pass; what it returns takes the tensor's place."""

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[Any, Any]) -> Any:
        where: int | str | None = 0 if args else next(iter(kwargs), None)
        values: Any = args if args else kwargs
        if where is None or not isinstance(values[where], Tensor):
            raise CallError(f"{site.module} takes no tensor: name another module")
        new_BTD = function(values[where])
        if new_BTD is None:
            return None
        if site.is_stream:
            values[where].copy_(new_BTD)
            return None
        return ((new_BTD, *args[1:]), kwargs) if args else (args, {**kwargs, where: new_BTD})

    def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        first = _first(output)
        if first is None:
            raise CallError(f"{site.module} returns no tensor: name another module")
        new_BTD = function(first)
        return None if new_BTD is None else _with_first(output, new_BTD)

    module = model.get_submodule(site.module)
    handle = (
        module.register_forward_pre_hook(before, with_kwargs=True)
        if site.side == "input"
        else module.register_forward_hook(after)
    )
    try:
        yield
    finally:
        handle.remove()


def _first(output: Any) -> Tensor | None:
    """The tensor that a module returns: alone, or as the first of several."""
    if isinstance(output, Mapping):  # ModelOutput
        output = next(iter(output.values()), None)
    elif isinstance(output, (tuple, list)):
        output = output[0] if output else None
    return output if isinstance(output, Tensor) else None


def _with_first(output: Any, new: Tensor) -> Any:
    if isinstance(output, Tensor):
        return new
    if isinstance(output, Mapping):
        changed: Any = copy.copy(output)
        changed[next(iter(output))] = new
        return changed
    return type(output)((new, *output[1:]))


def resolve(model: PreTrainedModel, site: Site) -> ResolvedSite:
    """Where a site lies in a model. Raises CallError that lists the sites that there are."""
    if site.module is not None:
        return _module(model, site.module, site.of)
    known = family(model.config.model_type, model.config)
    if known is None:
        raise CallError(
            f"site {site_key(site)}: places and names are not known for models of type {model.config.model_type}; "
            f"give the path of a module, such as {_examples(model)}"
        )
    base = _base(model, known)
    blocks = f"{base}{known.blocks}"
    count = len(model.get_submodule(blocks))  # type: ignore[arg-type]
    if refused := refusal(site, known, count):
        raise CallError(refused)
    layer, way = hook(site, known)
    if way is None:
        return ResolvedSite(f"{base}{known.embedding}", "output")
    side = "input" if way.endswith("input") else "output"
    inner = way.removesuffix(side)
    path = f"{blocks}.{int(layer)}.{inner[:-1]}".removesuffix(".")
    return ResolvedSite(path, side, inner.endswith("="))


def tensor(model: PreTrainedModel, site: Site) -> tuple[str, str]:
    """What tells a site's tensor from others, as far as is known: a module path, and which side of it.

    Sites whose tensors are the same may still be spliced differently (see `ResolvedSite.is_stream`). Raises CallError
    as `resolve` does.
    """
    found = resolve(model, site)
    known = family(model.config.model_type, model.config)
    blocks = f"{_base(model, known)}{known.blocks}." if known else ""
    if known is None or not found.module.startswith(blocks):
        return found.module, found.side
    layer, _, inner = found.module.removeprefix(blocks).partition(".")
    way = f"{inner}@{found.side}"
    inner, _, side = known.aliases.get(way, way).partition("@")
    return f"{blocks}{layer}.{inner}".removesuffix("."), side


def _base(model: PreTrainedModel, known: Family) -> str:
    """What paths of the model without its head start with: empty, or a name and a dot."""
    modules = dict(model.named_modules())
    prefix = model.base_model_prefix
    for base in (f"{prefix}.", "", f"{prefix}.language_model.", "language_model."):
        if f"{base}{known.blocks}" in modules:
            return base
    raise CallError(
        f"the model ({type(model).__name__}) is not built as its type {model.config.model_type} is; "
        f"give the path of a module, such as {_examples(model)}"
    )


def _module(model: PreTrainedModel, path: str, side: str) -> ResolvedSite:
    paths = [name for name, _ in model.named_modules() if name]
    if path not in paths:
        near = difflib.get_close_matches(path, paths, n=3, cutoff=0.6)
        parent = path.rpartition(".")[0]
        while parent and parent not in paths:
            parent = parent.rpartition(".")[0]
        start = f"{parent}." if parent else ""
        children = [p for p in paths if p.startswith(start) and "." not in p[len(start) :]]
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        there = f"{parent} has {', '.join(p[len(start) :] for p in children) or 'no modules'}"
        raise CallError(f"the model has no module {path}: {hint}{there if parent else _top(children)}")
    return ResolvedSite(path, side)


def _top(children: Sequence[str]) -> str:
    return f"it starts with {' or '.join(children)}"


def _examples(model: PreTrainedModel) -> str:
    """Paths of a few modules in the middle of the model."""
    inner = [
        name for name, module in model.named_modules() if name.count(".") >= 2 and list(module.parameters())
    ]
    return ", ".join(inner[:3]) or next((name for name, _ in model.named_modules() if name), "")
