"""What running a spec would do and cost, for `plan` and `run`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from saespec.plan.cost import Cost, PlanCost
from saespec.plan.freshness import UNCHANGED, StageState
from saespec.plan.model import Cell, Group

from . import output
from .specs import Target, projects, store_of


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
    """Judge a plan's stages and estimate its cost, at the speed that earlier runs on this machine had."""
    from saespec.plan.cost import around, cost, input_costs
    from saespec.plan.freshness import freshness
    from saespec.plan.project import store_folder, stored_cell
    from saespec.results.speed import measured_speed

    with store_of(target):
        states = freshness(target.plan, target.root)
        store = store_folder(target.root)
    left = [state.stage for state in states if state.state not in UNCHANGED]
    fresh = {state.stage.name for state in states if state.state in UNCHANGED}
    done = {
        cell.id
        for stage in target.plan.stages
        for cell in stage.cells
        if stage.name in fresh or stored_cell(store, cell.id).exists()
    }
    speed = measured_speed(projects(target)) if left else 1.0
    found = cost(target.plan, speed, done)
    inputs = {name: one for name, one in input_costs(target.plan, speed).items() if name not in fresh}
    seconds = found.total.seconds + around(target.plan, left, speed)
    total = replace(
        found.total,
        seconds=seconds + sum(one.seconds for one in inputs.values()),
        disk_bytes=found.total.disk_bytes + sum(one.disk_bytes for one in inputs.values()),
    )
    return Forecast(target, states, PlanCost(found.groups, total), inputs, frozenset(done))
