"""The spec: one YAML file, one experiment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from .base import Conflict, Consistent, Strict, exactly
from .columns import Stored
from .contradictions import contradictions
from .loss import Loss
from .measures import Measure
from .report import Claim, Figure
from .sae import SAE
from .toy import ToyData
from .train import Train
from .transformer import TransformerData

Data = Annotated[ToyData | TransformerData, Field(discriminator="kind")]


class CellConfig(Consistent):
    """Everything that one cell's numbers depend on: one point of a sweep, resolved."""

    data: Data = Field(description="Where activation vectors come from.")
    sae: SAE = Field(description="The sparse autoencoder.")
    loss: Loss = Field(description="What is minimised.")
    train: Train = Field(description="How it is trained.")
    seed: Annotated[int, Stored("seed")] = Field(
        ge=0, lt=2**63, description="Seed of truth, data and initial weights."
    )

    def conflicts(self) -> Iterator[Conflict]:
        yield from contradictions(self)


class Range(Strict):
    """Logarithmically spaced values: both ends, so many per decade, rounded to 6 digits."""

    from_: float = Field(alias="from", gt=0, description="First value.")
    to: float = Field(gt=0, description="Last value.")
    per_decade: float = Field(gt=0, le=1000, description="Values per factor of ten.")


class Ratio(Strict):
    """Values that are multiples of another field."""

    of: str = Field(description="Dotted path of the other field, such as data.features.")
    ratios: list[float] = Field(min_length=1, description="Multiples of that field.")


def _axis_form(value: Any) -> str:
    if isinstance(value, Range | Ratio):
        return type(value).__name__.lower()
    if isinstance(value, dict):
        return "ratio" if "of" in value or "ratios" in value else "range"
    return "list"


Axis = Annotated[
    Annotated[list[Any], Field(min_length=1), Tag("list")]
    | Annotated[Range, Tag("range")]
    | Annotated[Ratio, Tag("ratio")],
    Discriminator(_axis_form),
]
"""The values of one swept field: a list of them, a range, or multiples of another field."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
"""What files, schemas and DVC stages can be called."""

RESERVED = ("information_schema", "main", "pg_catalog", "system", "temp")
"""Names that DuckDB needs itself."""


def _one_line(text: str) -> str:
    if not text.strip() or text.splitlines() != [text]:
        raise ValueError("must be one line of text")
    return text


class Case(Strict):
    """What an item of `cases` or `beside` may hold beyond the fields that it sets."""

    name: Annotated[str, AfterValidator(_one_line)] = Field(
        description="Name of the case, the column case_name of the table cells: one line. All items of a list "
        "have one, or none.",
        json_schema_extra={"minLength": 1},
    )


class Sweep(Strict):
    """Which cells to train: grid × zip × cases, and those beside; any field of data, sae, loss, train, or the seed.

    What the spec says outside `sweep` is a valid cell itself; a sweep departs from it.
    Order of cells: the first grid axis changes slowest, then the next, then zip, and cases fastest.
    Cases may have names, for figures to tell them apart; a case with only a name is the spec as it is.
    """

    grid: dict[str, Axis] = Field(default_factory=dict, description="Product of all axes.")
    zip: dict[str, Axis] = Field(default_factory=dict, description="Axes of equal length, paired.")
    cases: list[dict[str, Any]] = Field(
        default_factory=list,
        description="A list of settings, each of one field or several, with a name or without.",
    )
    beside: list[dict[str, Any]] = Field(
        default_factory=list,
        description="Cells beside the product, such as baselines: a list of settings as in cases, each applied to the "
        "spec as it is outside the sweep.",
    )


def _named_measure(value: Any) -> Any:
    """`recovery` and `{dead_latents: {window: 100}}` stand for `{kind: …, …}`."""
    if isinstance(value, str):
        return {"kind": value}
    if isinstance(value, dict) and "kind" not in value and len(value) == 1:
        ((kind, fields),) = value.items()
        if isinstance(fields, dict) and "kind" not in fields:
            return {"kind": kind, **fields}
        if fields is None:
            return {"kind": kind}
    return value


OFFERED = {
    "truth": "data whose features are known, such as kind toy",
    "transformer": "data of a transformer",
}
"""What data offer and measures need, in words."""


class Spec(Consistent):
    """A whole experiment."""

    version: Annotated[Literal[1], exactly(1)] = Field(description="Version of the spec language.")
    name: Name = Field(description="Name of the experiment: its folder in results/ and its schema in SQL.")
    title: str = Field(description="One line for people.")
    description: str = Field("", description="What the experiment is about.")
    document: str = Field("", description="Key of the document that it rebuilds.")
    data: Data = Field(description="Where activation vectors come from.")
    sae: SAE = Field(description="The sparse autoencoder.")
    loss: Loss = Field(description="What is minimised.")
    train: Train = Field(description="How it is trained.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of truth, data and initial weights.")
    sweep: Sweep = Field(default_factory=Sweep, description="Which cells to train.")
    budget_gb: float = Field(
        10.0,
        gt=0,
        description="Most GB (10⁹ bytes) of activations that the spec's sites may take on disk, in all.",
    )
    measure: list[Annotated[Measure, BeforeValidator(_named_measure)]] = Field(
        min_length=1, description="What to measure."
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="What columns are called in figures: axes, legends, panels."
    )
    queries: dict[Name, str] = Field(
        default_factory=dict,
        description="DuckDB SELECTs over this spec's tables that figures, claims and each other see as tables.",
    )
    figures: dict[Name, Figure] = Field(default_factory=dict, description="Figures by file name.")
    claims: dict[Name, Claim] = Field(default_factory=dict, description="Claims by name.")

    def conflicts(self) -> Iterator[Conflict]:
        yield from contradictions(self)
        if self.name in RESERVED:
            yield Conflict("name", f"{self.name} is a name that the database keeps for itself")
        first: dict[str, int] = {}
        for i, measure in enumerate(self.measure):
            if first.setdefault(measure.kind, i) != i:
                yield Conflict(f"measure.{i}", f"{measure.kind} is asked for twice", "remove one")
            if measure.kind == "movement" and hasattr(self, "train") and not self.train.movement:
                yield Conflict(f"measure.{i}", "movement is not recorded", "write train.movement: true")
            if measure.needs not in (None, self.data.offers):
                yield Conflict(f"measure.{i}", f"{measure.kind} needs {OFFERED[measure.needs]}", "remove it")
