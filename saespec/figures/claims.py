"""Claims: whether the results bear out the statements of a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from saespec.errors import QueryError
from saespec.results import document
from saespec.results.query import Rows, SpecConnection, SqlError, StoppedError, select
from saespec.spec.report import Claim


@dataclass(frozen=True)
class Verdict:
    """What the results say about one claim."""

    name: str
    says: str
    source: str
    holds: bool | None
    """None if undecided; `why` then says what stood in the way."""
    why: str
    """Also what the tables lack, whatever the verdict."""
    numbers: dict[str, Any]
    """The row that the condition was asked of; None for NULL and for what is not finite."""
    sql: str
    condition: str


def check(claims: Mapping[str, Claim], connection: SpecConnection, left_out: str = "") -> list[Verdict]:
    """Judge claims, in their order, on a connection made by `spec_connection`.

    A claim whose query fails, or does not give exactly one row, or whose condition comes out NULL, is
    undecided: an experiment that has no answer neither confirms nor refutes. NaN and infinity count as
    NULL here, since for SQL `NaN >= 0.9` is true. `left_out` says what the tables lack, and is part of every `why`.

    Raises QueryError, naming the claim, if a query is stopped at a bound of time or memory.
    """
    return [_judge(name, claim, connection, left_out) for name, claim in claims.items()]


def to_json(verdicts: Sequence[Verdict], provenance: Mapping[str, str]) -> bytes:
    """Return `claims.json`: each verdict by the claim's name, with full precision, and where they came from."""
    by_name = {v.name: {key: value for key, value in asdict(v).items() if key != "name"} for v in verdicts}
    return document.encode({"claims": by_name}, document.CLAIMS, provenance)


def evaluate(rows: Rows, condition: str, connection: SpecConnection) -> bool | None:
    """Return what a condition over the columns of a query's only row comes to; None for NULL.

    Raises SqlError if it does not run or is neither true, false nor NULL.
    """
    # Not the query again as a subquery: its values are to be judged as they are reported.
    columns = ", ".join(
        f'{_literal(value, kind)} as "{name.replace(chr(34), chr(34) * 2)}"'
        for name, kind, value in zip(rows.columns, rows.types, rows.values[0], strict=True)
    )
    try:
        result = select(connection, f"select (\n{condition}\n) as holds from (select {columns})")
    except StoppedError:
        raise
    except SqlError as error:
        line = error.line - 1 if error.line else None
        raise SqlError(error.message, line, error.missing, error.kind, error.candidates) from error
    if result.types != ("BOOLEAN",):
        raise SqlError(f"the condition is {result.types[0].lower()}, not true or false")
    verdict: bool | None = result.values[0][0]
    return verdict


def _judge(name: str, claim: Claim, connection: SpecConnection, left_out: str) -> Verdict:
    holds: bool | None = None
    why = ""
    numbers: dict[str, Any] = {}
    try:
        rows = select(connection, claim.sql)
        if len(rows.values) == 1:
            numbers = rows.records()[0]
            holds = evaluate(rows, claim.holds, connection)
            if holds is None:
                missing = [key for key, value in numbers.items() if value is None]
                why = f"{', '.join(missing) or 'the condition'} {'are' if len(missing) > 1 else 'is'} NULL"
        else:
            why = f"the query gives {len(rows.values) or 'no'} rows, not one"
    except StoppedError as error:
        # Not undecided: on a faster machine it may have an answer.
        raise QueryError(f"claim {name}: {error}") from error
    except SqlError as error:
        why = error.message
    why = "; ".join(part for part in (why, left_out) if part)
    return Verdict(name, claim.says, claim.source, holds, why, numbers, claim.sql, claim.holds)


def _literal(value: Any, kind: str) -> str:
    # Decimals came as floats; a null of a decimal type compares as well as one of a double.
    kind = "DOUBLE" if kind.startswith("DECIMAL") and "[" not in kind else kind
    if value is None:
        return f"cast(null as {kind})"
    if isinstance(value, bool | int | float):
        return f"cast('{value!r}' as {kind})"
    if isinstance(value, str):
        return "cast('" + value.replace("'", "''") + f"' as {kind})"
    raise SqlError(f"a claim's columns are numbers, texts or truth values, not {kind.lower()}")
