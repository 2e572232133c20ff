"""The declared tables of a spec."""

from __future__ import annotations

import subprocess
import sys

import pytest
from results_sample import spec

from saespec.plan.model import Cell
from saespec.results import schema
from saespec.spec.spec import CellConfig, Spec


def config(of: Spec) -> CellConfig:
    return CellConfig(data=of.data, sae=of.sae, loss=of.loss, train=of.train, seed=of.seed)


def names(table: str, of: Spec) -> list[str]:
    return [column.name for column in schema.tables(of)[table]]


def test_tables_hold_what_is_measured():
    assert list(schema.tables(spec(measure=["losses"]))) == ["cells", "curves", "runs"]
    assert list(schema.tables(spec())) == ["cells", "curves", "truth", "latents", "pairs", "runs"]
    assert names("truth", spec())[:3] == ["cell", "feature", "frequency"]
    assert names("pairs", spec())[:2] == ["cell", "other_cell"]
    assert names("curves", spec()) == [
        "cell",
        "step",
        "loss",
        "reconstruction_loss",
        "sparsity_loss",
        "l0",
        "mmcs",
    ]


def test_cells_holds_keys_then_fields_then_measures():
    columns = names("cells", spec(measure=["dead_latents"]))
    assert columns[:4] == ["cell", "spec", "case_name", "seed"]
    assert columns[-4:] == ["latent_ratio", "canonical_lambda", "dead_latents", "mmcs_alive"]
    assert {"dim", "latents", "sparsity_coefficient", "steps", "decay_rate"} < set(columns)


def test_every_column_is_named_once_and_described_with_a_unit():
    for columns in schema.tables(spec()).values():
        assert len({column.name for column in columns}) == len(columns)
        assert all(column.unit and column.description.endswith(".") for column in columns)


@pytest.mark.parametrize(
    ("reconstruction", "per", "expected"),
    [
        ("mean", "latents", 0.1 * 64 / 128),
        ("mean", "sample", 0.1 * 64),
        ("sum", "latents", 0.1 / 128),
        ("sum", "sample", 0.1),
    ],
)
def test_canonical_lambda_undoes_each_document_convention(reconstruction, per, expected):
    """documents.md, section 0.3."""
    loss = {"reconstruction": reconstruction, "sparsity": {"kind": "l1", "coefficient": 0.1, "per": per}}
    assert schema.canonical_lambda(config(spec(loss=loss))) == pytest.approx(expected, rel=1e-12)


def test_cell_row_fills_declared_columns_only():
    row = schema.declared_part(spec(), schema.cell_row(Cell(id="abc", config=config(spec())), "toy"))
    assert row.keys() < set(names("cells", spec()))
    assert (row["cell"], row["spec"], row["seed"], row["latents"], row["latent_ratio"]) == (
        "abc",
        "toy",
        0,
        128,
        1,
    )


def test_cell_row_names_the_case():
    assert schema.cell_row(Cell("abc", config(spec())), "toy")["case_name"] is None
    assert schema.cell_row(Cell("abc", config(spec()), case="baseline"), "toy")["case_name"] == "baseline"
    (column,) = (c for c in schema.tables(spec())["cells"] if c.name == "case_name")
    assert (column.type, column.unit) == ("string", "name")


def test_arrow_schema_keeps_every_column():
    for columns in schema.tables(spec()).values():
        assert schema.columns_of(schema.arrow_schema(columns)) == columns


def test_schema_imports_without_heavy_libraries():
    heavy = ["pyarrow", "duckdb", "numpy", "torch", "altair"]
    code = f"import sys, saespec.results.schema; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_fields_that_the_language_gained_later_are_columns_where_they_are_set():
    def columns(**changes):
        return {"precision", "products"} & set(names("cells", spec(**changes)))

    train = {**spec().train.model_dump(), "precision": "bfloat16"}
    assert columns() == set()
    assert columns(train=train) == {"precision"}
    assert columns(sweep={"grid": {"train.products": ["dense"]}}) == {"products"}
    assert columns(sweep={"cases": [{"train": train}]}) == {
        "precision",
        *(["products"] if "products" in train else []),
    }
    row = schema.cell_row(Cell("abc", config(spec())), "toy")
    assert row["precision"] == "float32"
    assert "precision" not in schema.declared_part(spec(), row)
    assert schema.declared_part(spec(train=train), row)["precision"] == "float32"


def test_a_table_describes_the_kinds_that_the_spec_has():
    baseline = {"name": "ICA", "sae": {"kind": "ica", "latents": 8}}
    assert "ica_iterations" not in names("cells", spec())
    assert "ica_iterations" in names("cells", spec(sweep={"beside": [baseline]}))
    assert "weights" not in names("cells", spec(sae={"kind": "pca", "latents": 8}))
