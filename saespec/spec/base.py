"""The base of every model of the spec language."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import PydanticCustomError


@dataclass(frozen=True)
class Conflict:
    """Fields that are each fine and do not go together."""

    field: str
    """The field (dotted, below the model that complains) to point at."""
    message: str
    hint: str = ""


class ConflictError(ValueError):
    """All conflicts of one model; pydantic passes it on as a validation error."""

    def __init__(self, conflicts: list[Conflict]) -> None:
        self.conflicts = conflicts
        super().__init__("; ".join(f"{c.field}: {c.message}" for c in conflicts))


class Strict(BaseModel):
    """Unknown keys, wrong types, NaN and infinity are refused; values never change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, strict=True, validate_default=True
    )

    unread: ClassVar[tuple[str, ...]] = ()
    """Dotted paths of fields, or whole sections, of a cell that its numbers do not depend on where this is in it."""

    @classmethod
    def ousted(cls, key: str, value: Any) -> Collection[str]:
        """Keys that go with another choice than the one that setting `key` makes: who overrides it drops them."""
        return ()


class Consistent(Strict):
    """A model whose fields may contradict each other."""

    def conflicts(self) -> Iterator[Conflict]:
        """What does not go together; a subclass yields its own.

        It is also asked when other fields of the model are wrong and therefore absent.
        """
        yield from ()

    @model_validator(mode="after")
    def _no_conflicts(self) -> Self:
        if found := list(self.conflicts()):
            raise ConflictError(found)
        return self


def exactly(expected: bool | int) -> BeforeValidator:
    """For a `Literal` of a number or a truth value: 1.0 and true are not 1, 0 is not false."""

    def check(value: Any) -> Any:
        if type(value) is not type(expected):
            context = {"expected": repr(expected).lower()}
            raise PydanticCustomError("literal_error", "Input should be {expected}", context)
        return value

    return BeforeValidator(check)


def kind_shorthand(value: Any, key: str = "kind") -> Any:
    """Read `random` as `{kind: random}`, for sections whose other fields have defaults."""
    return {key: value} if isinstance(value, str) else value
