"""Chart kinds: what a figure says of its chart. `saespec/figures/kinds/` makes Vega-Lite of them, one file each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from .base import Conflict, Consistent, Strict

ColumnName = Annotated[str, Field(min_length=1)]
"""A column of the figure's query."""
Axis = Literal["x", "y"]
HeatmapAxis = Literal["x", "y", "value"]
Ends = Annotated[list[float], Field(min_length=2, max_length=2)]
Pixels = Annotated[float, Field(gt=0, le=2000)]


def _short(full: Callable[[Any], Any], *kinds: type) -> Callable[[Any], Any]:
    """Write out what is given as one of these types."""
    return lambda value: full(value) if isinstance(value, kinds) else value


def _on(axis: str, *kinds: type) -> Callable[[Any], Any]:
    return _short(lambda value: {axis: value}, *kinds)


def _listed(*kinds: type) -> Callable[[Any], Any]:
    return _short(lambda value: [value], *kinds)


def _on_axis(axis: str, kind: type, every: Any) -> BeforeValidator:
    """Of what may be said of one axis only, which needs no name then."""
    return BeforeValidator(_on(axis, kind), json_schema_input_type=every)


class Plotted(Consistent):
    """What every kind says of its columns and axes. Layers share their axes: what one says holds for all."""

    columns: ClassVar[tuple[str, ...]] = ("x", "y", "color", "sort")
    """Fields that name a column of the query."""
    numbers_only: ClassVar[tuple[str, ...]] = ("y", "sort")
    """Those of them that are of numbers."""
    x: ColumnName = Field(description="Column along the horizontal axis.")
    y: ColumnName = Field(description="Column along the vertical axis.")
    width: Pixels | None = Field(None, description="Pixels across; of a heatmap and of bars, those of one.")
    height: Pixels | None = Field(None, description="Pixels down; of a heatmap, those of a row.")

    def shown_columns(self) -> Iterator[tuple[str, str]]:
        """Yield the fields that name a column, and the column."""
        for name in self.columns:
            if isinstance(column := getattr(self, name, None), str):
                yield name, column


class Measured(Plotted):
    """A kind with numbers along y."""

    domain: Annotated[dict[Axis, Ends], _on_axis("y", list, Ends | dict[Axis, Ends])] = Field(
        default_factory=dict, description="Both ends of y, such as [0, 1], or of each axis: {x: [1, 9]}."
    )
    format: Annotated[dict[Axis, str], _on_axis("y", str, str | dict[Axis, str])] = Field(
        default_factory=dict, description="d3 format of the numbers on y, or on each axis: {x: ~s}."
    )

    def conflicts(self) -> Iterator[Conflict]:
        for axis, (first, last) in self.domain.items():
            if first == last:
                yield Conflict("domain", f"both ends of {axis} are the same", "give two values")


class Numbers(Measured):
    """A kind whose axes are of numbers."""

    numbers_only = ("x", "y", "sort", "shade")

    log: Annotated[list[Axis], BeforeValidator(_listed(str), json_schema_input_type=Axis | list[Axis])] = (
        Field(default_factory=list, description="Axes on a logarithmic scale: x, y, or [x, y].")
    )
    ticks: dict[Axis, list[float]] = Field(default_factory=dict, description="Where an axis has its labels.")
    color: ColumnName | None = Field(None, description="Column told apart by colours, as names.")
    sort: ColumnName | None = Field(None, description="Column of numbers that orders the colours.")

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        for axis in self.log:
            for word in ("domain", "ticks"):
                if any(value <= 0 for value in getattr(self, word).get(axis, ())):
                    yield Conflict(
                        word, f"has no place for 0 or less on the logarithmic {axis}", "give values above 0"
                    )


class Line(Numbers):
    """A line through the rows in the order of x."""

    columns = (*Numbers.columns, "dash")

    dash: ColumnName | None = Field(None, description="Column told apart by dashes, as names.")
    dashed: bool = Field(False, description="A thin, grey, dashed line: something to compare with.")
    points: bool = Field(True, description="A point at each row.")
    error: Literal["range", "stdev", "stderr"] | None = Field(
        None,
        description="Draws the mean of rows with the same x (seeds, say) and a band around it: from the least to the "
        "greatest, one standard deviation, or one standard error.",
    )


class Scatter(Numbers):
    """A point a row."""

    columns = (*Numbers.columns, "shade", "shape", "label")

    shade: ColumnName | None = Field(None, description="Column of numbers told apart by shades.")
    shape: ColumnName | None = Field(None, description="Column told apart by shapes, as names.")
    label: ColumnName | None = Field(None, description="Column whose text stands beside each point.")
    size: float = Field(30, gt=0, le=2000, description="Area of a point, in square pixels.")
    opacity: float = Field(0.7, gt=0, le=1, description="1 hides what lies behind a point.")

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        if self.color and self.shade:
            yield Conflict("shade", "color tells points apart already", "keep one of the two")


class Histogram(Numbers):
    """Bars over bins: of rows, or of bins that the query has counted."""

    # All other kinds must have a y; this one alone may count rows.
    y: ColumnName | None = Field(  # type: ignore[assignment]
        None,
        description="Column of counts or shares, where x is the lower end of a bin; without it, rows count.",
    )
    step: float = Field(gt=0, description="Width of a bin.")

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        if self.log:
            yield Conflict("log", "bars begin at 0, which a logarithmic axis has not", "remove it")


class Heatmap(Plotted):
    """A coloured cell for each pair of x and y, with its value as a number."""

    columns = ("x", "y", "value", "second")
    numbers_only = ("value",)

    value: ColumnName = Field(description="Column of numbers that colours and texts show.")
    domain: Annotated[dict[HeatmapAxis, Ends], _on_axis("value", list, Ends | dict[HeatmapAxis, Ends])] = (
        Field(
            default_factory=dict,
            description="Values of the first and the last colour; what lies beyond has these too.",
        )
    )
    format: Annotated[dict[HeatmapAxis, str], _on_axis("value", str, str | dict[HeatmapAxis, str])] = Field(
        default_factory=dict, description="d3 format of the values, or also of x and y."
    )
    numbers: bool = Field(True, description="Whether the value stands in its cell.")
    second: ColumnName | None = Field(None, description="Column whose text stands below the value, smaller.")
    scheme: str = Field("viridis", description="Vega's name of the colours; redblue for values around 0.")


class Bars(Measured):
    """A bar a row."""

    x: ColumnName = Field(description="Column of names along the horizontal axis.")
    color: ColumnName | None = Field(
        None, description="Column told apart by colours, as names: bars are stacked."
    )
    sort: ColumnName | None = Field(None, description="Column of numbers that orders the names.")
    beside: bool = Field(False, description="Bars of different colours stand beside each other.")

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        if self.beside and not self.color:
            yield Conflict("beside", "is of bars that color tells apart", "give color, or remove it")


class Box(Measured):
    """Quartiles of the rows of each name; whiskers reach to the least and the greatest."""

    x: ColumnName = Field(description="Column of names along the horizontal axis.")
    color: ColumnName | None = Field(None, description="Column told apart by colours, as names.")
    sort: ColumnName | None = Field(None, description="Column of numbers that orders the names.")


class Facet(Consistent):
    """A panel for each value of a column, or of two."""

    by: ColumnName | None = Field(
        None, description="Column with a panel for each value, in lines of `columns`."
    )
    columns: int = Field(3, ge=1, le=20, description="Panels a line.")
    column: ColumnName | None = Field(None, description="Column with a column of panels for each value.")
    row: ColumnName | None = Field(None, description="Column with a row of panels for each value.")
    sort: ColumnName | None = Field(None, description="Column of numbers that orders the panels.")
    independent: list[Literal["x", "y", "color"]] = Field(
        default_factory=list, description="Scales that each panel has for itself."
    )

    def conflicts(self) -> Iterator[Conflict]:
        if self.by and (self.column or self.row):
            yield Conflict("by", "cannot stand beside column and row", "keep one of the two ways")
        if not (self.by or self.column or self.row):
            yield Conflict("", "names no column", "such as facet: layer, or {column: layer, row: seed}")

    def shown_columns(self) -> Iterator[tuple[str, str]]:
        """Yield the fields that name a column, and the column."""
        for name in ("by", "column", "row", "sort"):
            if column := getattr(self, name):
                yield name, column


def _number_or_column(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or value == "":
        raise PydanticCustomError("end", "must be a number or the name of a column")
    return value


End = Annotated[
    Any,
    AfterValidator(_number_or_column),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "minLength": 1}]}),
]


class Band(Consistent):
    """A shaded range of an axis, drawn once."""

    x: Annotated[list[End], Field(min_length=2, max_length=2)] | None = Field(
        None,
        description="From and to: numbers, or columns (the least of the first, the greatest of the second).",
    )
    y: Annotated[list[End], Field(min_length=2, max_length=2)] | None = Field(
        None, description="The same for y."
    )

    def conflicts(self) -> Iterator[Conflict]:
        if (self.x is None) == (self.y is None):
            yield Conflict("", "needs either x or y", "such as band: {x: [0.03, 0.3]}")

    def shown_columns(self) -> Iterator[tuple[str, str]]:
        """Yield the fields that name a column, and the column."""
        for axis in ("x", "y"):
            yield from (
                (f"{axis}.{i}", end)
                for i, end in enumerate(getattr(self, axis) or ())
                if isinstance(end, str)
            )


class Rule(Consistent):
    """A dashed line across the chart, drawn once."""

    x: End | None = Field(None, description="Where: a number, or a column, whose mean counts.")
    y: End | None = Field(None, description="The same for y.")

    def conflicts(self) -> Iterator[Conflict]:
        if (self.x is None) == (self.y is None):
            yield Conflict("", "needs either x or y", "such as rule: {y: mmcs_chance}")

    def shown_columns(self) -> Iterator[tuple[str, str]]:
        """Yield the fields that name a column, and the column."""
        yield from ((axis, end) for axis in ("x", "y") if isinstance(end := getattr(self, axis), str))


class Text(Strict):
    """Words in the chart."""

    x: float = Field(description="Where they begin, on the horizontal axis.")
    y: float = Field(description="Where they stand, on the vertical axis.")
    says: str = Field(min_length=1, description="The words.")


class Overlay(Consistent):
    """A chart of one kind, of those that can lie over each other."""

    line: Line | None = Field(None, description="Lines, with a band over seeds if wanted.")
    scatter: Scatter | None = Field(None, description="A point a row.")
    histogram: Histogram | None = Field(None, description="Bars over bins.")

    @classmethod
    def kind_names(cls) -> list[str]:
        """Names of the kinds that there are, in the order in which they are declared."""
        return [name for name, info in cls.model_fields.items() if _is_kind(info.annotation)]

    def kinds(self) -> list[tuple[str, Plotted]]:
        """The kinds that are given, by name; one in what is valid."""
        return [
            (name, kind)
            for name in self.kind_names()
            if isinstance(kind := getattr(self, name, None), Plotted)
        ]


def _is_kind(annotation: Any) -> bool:
    """Whether a field may be a chart of a kind."""
    return any(isinstance(one, type) and issubclass(one, Plotted) for one in get_args(annotation))


class Layer(Overlay):
    """One of several charts that lie over each other."""

    def conflicts(self) -> Iterator[Conflict]:
        whole = all(hasattr(self, name) for name in self.kind_names())
        if len(found := self.kinds()) != 1 and (found or whole):
            hint = f"one of {', '.join(self.kind_names())}"
            yield Conflict(found[1][0] if found else "", "a layer is one chart", hint)


FacetOrColumn = Annotated[Facet, BeforeValidator(_on("by", str), json_schema_input_type=ColumnName | Facet)]
"""`facet: layer` for `facet: {by: layer}`."""
Bands = Annotated[list[Band], BeforeValidator(_listed(dict), json_schema_input_type=Band | list[Band])]
Rules = Annotated[list[Rule], BeforeValidator(_listed(dict), json_schema_input_type=Rule | list[Rule])]
Texts = Annotated[list[Text], BeforeValidator(_listed(dict), json_schema_input_type=Text | list[Text])]
