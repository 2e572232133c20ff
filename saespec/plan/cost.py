"""What a plan will roughly take: seconds, memory and disk. The times of single pieces of work are in `pace.py`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from saespec.spec.baselines import Baseline
from saespec.spec.language.fields import meets
from saespec.spec.language_measures import LanguageModel, TopExamples
from saespec.spec.spec import CellConfig
from saespec.spec.transformer import Site, TrainedModel, TransformerData

from . import pace
from .groups import group_name
from .inputs import extraction_id, extractions, parameters, sections, site_bytes, site_key, trained_models
from .model import Cell, Plan, Stage

_FLOAT = 4
_STATES = 4
"""Weights, gradients and Adam's two means."""
_COPIES = 2
"""A checkpoint in the store (the results folder links to it) and one in DVC's cache."""

_CODES = {"prolu": 1, "batch_topk": 1, "jumprelu": 2, "gated": 6}
"""What architectures keep of codes beside ReLU's, in codes a cell: by hand, peak memory of 4 cells of 4,096 latents."""
_ROWS = {"jumprelu": 1, "gated": 2}
"""Parameters of a latent beside its weights and bias."""

BYTES_CPU = 512 * 2**20
"""What a stack, and the stacks that train side by side, may take on a CPU."""


@dataclass(frozen=True)
class Cost:
    """Estimates for one group, or for a whole plan."""

    cells: int
    flops: float
    seconds: float
    memory_bytes: int
    """Peak of the tensors of training on a CPU, not counting the libraries."""
    disk_bytes: int


@dataclass(frozen=True)
class PlanCost:
    """Estimates by group, and for the training of all: the groups of one stage are in memory together."""

    groups: dict[str, Cost]
    total: Cost


def cost(plan: Plan, speed: float = 1.0, done: Collection[str] = ()) -> PlanCost:
    """Estimate what training will take, in `speed` times the seconds of the benchmark machine.

    Cells whose ids are in `done` are finished: they cost nothing more.
    """
    finished = frozenset(done)
    found: dict[str, Cost] = {}
    peak = 0
    for stage in plan.stages:
        left = {g.name: [cell.config for cell in g.cells if cell.id not in finished] for g in stage.groups}
        seconds = training(left)
        costs = {name: _group(configs, speed * seconds[name]) for name, configs in left.items()}
        firsts = [c for name in left for c in left[name][:1]]
        peak = max(peak, _at_once(firsts, sum(c.memory_bytes for c in costs.values())))
        found |= costs
    total = Cost(
        cells=sum(c.cells for c in found.values()),
        flops=sum(c.flops for c in found.values()),
        seconds=sum(c.seconds for c in found.values()),
        memory_bytes=peak,
        disk_bytes=sum(c.disk_bytes for c in found.values()),
    )
    return PlanCost(found, total)


def training(groups: Mapping[str, Sequence[CellConfig]]) -> dict[str, float]:
    """Seconds that groups take of a stage on the benchmark machine, each with its share of the batches drawn for all.

    Cells of a group are equally shaped. What does not fit into memory at once trains in rounds, and each draws its
    batches. A point of the curve takes about as long as a step.
    """
    own = {name: _own(configs) for name, configs in groups.items()}
    trained = [c for configs in groups.values() if configs and not _fitted(configs[0]) for c in configs]
    needed = sum(len(configs) * cell_bytes(configs[0]) for configs in groups.values() if configs)
    rounds = -(-needed // BYTES_CPU)
    drawing = rounds * sum(
        config.train.steps * pace.batch(config.data, config.train) for config in _sources(trained)
    )
    learning = sum(seconds for name, seconds in own.items() if groups[name] and not _fitted(groups[name][0]))
    return {
        name: seconds * (1 + drawing / learning if configs and not _fitted(configs[0]) else 1)
        for (name, seconds), configs in zip(own.items(), groups.values(), strict=True)
    }


def training_seconds(cells: Iterable[Cell], steps: Iterable[int]) -> float:
    """Seconds on the benchmark machine of cells that train side by side, so many steps of each."""
    groups: dict[str, list[CellConfig]] = {}
    for cell in cells:
        groups.setdefault(group_name(cell.config), []).append(cell.config)
    everything = sum(config.train.steps for configs in groups.values() for config in configs)
    return sum(training(groups).values()) * sum(steps) / everything


def input_costs(plan: Plan, speed: float = 1.0) -> dict[str, Cost]:
    """Estimates for the stages that train models and extract activations, by stage, start and end included.

    6 FLOPs a parameter and token of training, 2 of a forward pass. A checkpoint's size is not known here: its
    extraction counts as no time.
    """
    found = {}
    for name, data in trained_models(plan.cells).items():
        assert isinstance(data.model, TrainedModel)
        size = parameters(data.model)
        seconds = speed * pace.model(data.model)
        found[f"model-{name}"] = Cost(0, 6.0 * size * data.model.train.tokens, seconds, 0, _FLOAT * size)
    for one in extractions(plan.cells):
        model, tokens = one.data.model, one.data.tokens + one.data.held_out_tokens
        inside = (d for d in sections(plan.cells) if extraction_id(d) == one.id)
        disk = sum({site_key(d.site): site_bytes(d) for d in inside}.values())
        flops = seconds = 0.0
        if isinstance(model, TrainedModel):
            flops = 2.0 * parameters(model) * tokens
            seconds = speed * pace.extraction(model, one.data, _blocks(one.sites, model), disk)
        found[f"extract-{one.id}"] = Cost(0, flops, seconds, 0, disk)
    return found


def around(plan: Plan, stages: Iterable[Stage], speed: float = 1.0) -> float:
    """Seconds of what stages do beside training models and cells and extracting: start, measure, draw, end."""
    seconds = 0.0
    for stage in stages:
        seconds += speed * pace.STAGE
        if stage.kind == "measure":
            seconds += speed * _measuring(plan)
        elif stage.kind == "figures":
            seconds += speed * pace.FIGURE * len(plan.spec.figures)
    return seconds


def cell_flops(config: CellConfig) -> float:
    """Return the FLOPs of training one cell: 10·B·d·n a step.

    Two products forward, three backward (the encoder's input needs no gradient), 2·B·d·n each.
    """
    return 10.0 * config.train.batch * config.data.dim * config.sae.latents * config.train.steps


def cell_bytes(config: CellConfig) -> int:
    """Memory of a cell in training: weights, gradients and moments, codes and their gradients, batches.

    Codes count once more, for the look at held-out ones that a point of the curve takes.
    """
    B, L, D = config.train.batch, config.sae.latents, config.data.dim
    codes = 3 + _CODES.get(config.sae.kind, 0)
    numbers = _STATES * _weights(config) + codes * B * L + 3 * B * D
    if not isinstance(config.sae, Baseline):
        beside = {"unit_in_forward": 2, "unit_projected": 1}.get(config.sae.decoder_norm, 0)
        beside += (config.sae.weights == "tied") + (config.sae.decoder_bias == "shared")
        numbers += beside * L * D
    return _FLOAT * numbers


def _weights(config: CellConfig) -> int:
    """Numbers that a checkpoint holds."""
    L, D = config.sae.latents, config.data.dim
    if isinstance(config.sae, Baseline):
        return 2 * L * D + L
    matrices, rows = 1 if config.sae.weights == "tied" else 2, 1 + _ROWS.get(config.sae.kind, 0)
    return matrices * L * D + rows * L + (D if config.sae.decoder_bias != "none" else 0)


def _own(configs: Sequence[CellConfig]) -> float:
    """Seconds of equally shaped cells, their batches drawn."""
    if not configs:
        return 0.0
    if _fitted(configs[0]):
        return sum(map(pace.fit, configs))
    train = configs[0].train
    stacks = -(-len(configs) * cell_bytes(configs[0]) // BYTES_CPU)
    points = min(train.curve_points, train.steps)
    return (train.steps + points) * pace.step(configs[0], len(configs), stacks)


def _fitted(config: CellConfig) -> bool:
    return isinstance(config.sae, Baseline)


def _sources(configs: Iterable[CellConfig]) -> Iterable[CellConfig]:
    """Of the cells that share their batches the one that takes the most steps."""
    longest: dict[tuple[int, int], CellConfig] = {}
    for config in configs:
        key = id(config.data), config.seed  # cells of equal data share the section
        if key not in longest or longest[key].train.steps < config.train.steps:
            longest[key] = config
    return longest.values()


def _group(configs: Sequence[CellConfig], seconds: float) -> Cost:
    if not configs:
        return Cost(0, 0.0, 0.0, 0, 0)
    first, number = configs[0], len(configs)
    return Cost(
        cells=number,
        flops=number * cell_flops(first),
        seconds=seconds,
        memory_bytes=_at_once([first], number * cell_bytes(first)),
        disk_bytes=number * _FLOAT * _weights(first) * _COPIES,
    )


def _at_once(firsts: Sequence[CellConfig], everything: int) -> int:
    """What is in memory together: all, or what one round may take, which is two cells at least."""
    least = max((2 * cell_bytes(first) for first in firsts), default=0)
    return min(everything, max(BYTES_CPU, least))


def _blocks(sites: Iterable[Site], model: TrainedModel) -> int:
    """The blocks that a forward pass goes through to reach these sites: all of them for one that names no layer."""
    layers = [
        0 if site.place == "embed" else site.layer + 1 if site.layer is not None else None for site in sites
    ]
    known = [layer for layer in layers if layer is not None]
    return max(known) if len(known) == len(layers) else model.layers


def _measuring(plan: Plan) -> float:
    """Seconds of the measures: passes over held-out batches, and what goes through the language model."""
    seconds = 0.0
    # Measures over as many batches share a pass.
    asked = {getattr(m, "batches", None) or getattr(m, "window", None) for m in plan.spec.measure}
    batches = sum(number for number in asked if number)
    for group in plan.groups:
        configs = [cell.config for cell in group.cells]
        seconds += pace.measured(configs[0], len(configs), batches)
        seconds += batches * sum(pace.batch(one.data, one.train) for one in _sources(configs))
    for measure in plan.spec.measure:
        if isinstance(measure, LanguageModel | TopExamples):
            seconds += sum(_through_model(measure, cell.config) for cell in plan.cells)
    return seconds


def _through_model(measure: LanguageModel | TopExamples, config: CellConfig) -> float:
    data = config.data
    if not isinstance(data, TransformerData) or not isinstance(data.model, TrainedModel):
        return 0.0
    if isinstance(measure, LanguageModel):
        return measure.contexts * data.context * pace.predicted(data.model)
    return pace.SEARCHED * measure.latents * data.held_out_tokens if meets(config, measure.where) else 0.0
