"""What running a spec would do and cost, for `plan` and `run`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from saespec.plan.cost import Cost, PlanCost
from saespec.plan.freshness import UNCHANGED, StageState
from saespec.plan.model import Cell, Group

from . import output
from .specs import Target, store_of

_STAGE_SECONDS = 3.0
"""What a stage takes to start; importing torch is most of it."""
_STEP_SECONDS = 3e-4
"""What a step of a group takes however small its cells are."""


@dataclass(frozen=True)
class Forecast:
    """A plan, the state of its stages, and what is left to train."""

    target: Target
    states: list[StageState]
    cost: PlanCost
    inputs: dict[str, Cost]
    """What each stage that trains a model or extracts activations, and is not fresh, would take."""
    done: frozenset[str]
    """Cells that need no training: finished in the store, or of a stage that is fresh or that DVC's cache has."""

    def to_train(self, group: Group) -> list[Cell]:
        """Return the cells of a group that a run would train."""
        return [cell for cell in group.cells if cell.id not in self.done]

    def costs(self) -> Iterator[tuple[Group, Cost]]:
        """Yield each group with its cost."""
        for group in self.target.plan.groups:
            yield group, self.cost.groups[group.name]

    def stages_to_run(self) -> list[str]:
        """Return the names of the stages that run, or may: not of those that are fresh or in DVC's cache."""
        return [state.stage.name for state in self.states if state.state not in UNCHANGED]

    def sentence(self) -> str:
        """Return the plan in one line."""
        plan, total = self.target.plan, self.cost.total
        what = f"{output.count(len(plan.cells), 'cell')} in {output.count(len(plan.groups), 'group')}"
        left = self.stages_to_run()
        if all(state.state == "fresh" for state in self.states):
            return f"{what}; everything is up to date"
        if not left:
            return f"{what}; nothing to run: DVC's cache has what is missing"
        if not total.cells:
            names = ", ".join(left) if len(left) <= 3 else f"at most {len(left)} stages"
            return f"{what}; nothing to train; to run: {names}"
        return f"{what}; {total.cells} to train, about {output.duration(total.seconds)}"


def forecast(target: Target) -> Forecast:
    """Judge a plan's stages and estimate its cost, at the speed that earlier runs of it reached."""
    from saespec.plan.cost import CPU_RATE, cost, input_costs
    from saespec.plan.freshness import freshness
    from saespec.plan.project import store_folder, stored_cell
    from saespec.results.speed import measured_rate

    with store_of(target):
        states = freshness(target.plan, target.root)
        store = store_folder(target.root)
    fresh = {state.stage.name for state in states if state.state in UNCHANGED}
    done = {
        cell.id
        for stage in target.plan.stages
        for cell in stage.cells
        if stage.name in fresh or stored_cell(store, cell.id).exists()
    }
    rate = None
    if len(done) < len(target.plan.cells):
        rate = measured_rate(target.root / target.plan.folder, target.plan.cells)
    found = cost(target.plan, rate or CPU_RATE, done)
    groups = {
        group.name: _slower(found.groups[group.name], 0 if rate else group.cells[0].config.train.steps)
        for group in target.plan.groups
    }
    seconds = sum(one.seconds for one in groups.values()) + _STAGE_SECONDS * (len(states) - len(fresh))
    inputs = {name: one for name, one in input_costs(target.plan).items() if name not in fresh}
    total = replace(
        found.total,
        seconds=seconds + sum(one.seconds for one in inputs.values()),
        disk_bytes=found.total.disk_bytes + sum(one.disk_bytes for one in inputs.values()),
    )
    return Forecast(target, states, PlanCost(groups, total), inputs, frozenset(done))


def _slower(group: Cost, steps: int) -> Cost:
    """Add the least that a step takes."""
    return replace(group, seconds=group.seconds + steps * _STEP_SECONDS) if group.cells else group
