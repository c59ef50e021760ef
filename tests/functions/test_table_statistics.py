"""Statistics of a table, against numpy's own and against tables that are wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def function(load: Callable[[str], ModuleType]) -> ModuleType:
    """Return the function's module."""
    return load("table-statistics")


def answer(function: ModuleType, table: str | bytes) -> dict[str, Any]:
    """Return the answer for a table."""
    return json.loads(function.handle(table.encode() if isinstance(table, str) else table))


def refusal(function: ModuleType, table: str | bytes) -> str:
    """Return why a table is refused."""
    with pytest.raises(ValueError) as refused:
        answer(function, table)
    return str(refused.value)


def test_sample_agrees_with_numpy(function: ModuleType, functions: Path) -> None:
    """Our sums are exact and numpy's are fast; to five digits they are the same."""
    text = (functions / "table-statistics" / "sample.csv").read_text()
    columns = np.genfromtxt(io.StringIO(text), delimiter=",", skip_header=1, usecols=(2, 3, 5, 6)).T
    names = ["temperature_c", "vibration_mm_s", "flow_m3_h", "power_kw"]

    result = answer(function, text)

    for name, column in zip(names, columns, strict=True):
        found = result["columns"][name]
        assert found["mean"] == pytest.approx(column.mean(), rel=1e-5)
        assert found["std"] == pytest.approx(column.std(ddof=1), rel=1e-5)
        assert found["quartiles"] == pytest.approx(np.percentile(column, [25, 50, 75]), rel=1e-5)
    matrix = [[result["correlation"][one][other] for other in names] for one in names]
    assert np.allclose(matrix, np.corrcoef(columns), atol=1e-5)


def test_sample_shows_its_faults(function: ModuleType, functions: Path) -> None:
    """The knocking bearing, the short circuit and the silent transmitter are in the answer."""
    columns = answer(function, (functions / "table-statistics" / "sample.csv").read_bytes())["columns"]

    assert columns["vibration_mm_s"]["outliers"]["first"][0] == {"row": 601, "value": 11.4}
    assert columns["temperature_c"]["outliers"]["count"] == 3
    assert columns["pressure_bar"]["missing"] == 14


def test_a_small_table_by_hand(function: ModuleType) -> None:
    """Numbers that fit on paper."""
    column = answer(function, "x\n1\n2\n3\n4\n")["columns"]["x"]

    assert column == {
        "kind": "number",
        "count": 4,
        "missing": 0,
        "mean": 2.5,
        "std": 1.29099,
        "min": 1.0,
        "quartiles": [1.75, 2.5, 3.25],
        "max": 4.0,
        "outliers": {"mad": 1.0, "count": 0, "first": []},
    }


@pytest.mark.parametrize("word", ["", " ", "NA", "n/a", "NaN", "null", "None", "-"])
def test_gaps_are_missing_not_zero(word: str, function: ModuleType) -> None:
    """A silent transmitter didn't measure nothing, it didn't measure."""
    column = answer(function, f"x,y\n1,a\n{word},b\n3,c\n")["columns"]["x"]

    assert (column["count"], column["missing"], column["mean"]) == (2, 1, 2.0)


@pytest.mark.parametrize("cell", ["ERR", "1_000", "inf", "-Infinity", "0x10", "1,5", "٣", "1e", "--1"])
def test_a_column_with_another_word_is_text(cell: str, function: ModuleType) -> None:
    """Python would read some of these as numbers, but no sensor writes them."""
    column = answer(function, f'x\n1\n"{cell}"\n')["columns"]["x"]

    assert column == {"kind": "text", "count": 2, "missing": 0, "distinct": 2}


@pytest.mark.parametrize("cell", ["7", "-7", "+7", "7.", ".7", "7.25", "7e2", "7E-2"])
def test_numbers_as_instruments_write_them(cell: str, function: ModuleType) -> None:
    """Signs, exponents and bare points."""
    assert answer(function, f"x\n{cell}\n")["columns"]["x"]["max"] == float(cell)


def test_one_row_has_no_deviation(function: ModuleType) -> None:
    """With one reading, n - 1 is nothing to divide by."""
    result = answer(function, "x,y\n5,6\n")

    assert result["columns"]["x"]["std"] is None
    assert result["correlation"]["x"] == {"x": None, "y": None}


def test_no_rows_is_no_error(function: ModuleType) -> None:
    """A shift without readings is a fact, too."""
    result = answer(function, "x,y\n")

    assert result == {
        "rows": 0,
        "columns": {name: {"kind": "text", "count": 0, "missing": 0, "distinct": 0} for name in "xy"},
        "correlation": {},
    }


def test_a_constant_column_correlates_with_nothing(function: ModuleType) -> None:
    """Pearson's r divides by the spread; without one it is undefined, not zero."""
    assert answer(function, "x,y\n1,5\n2,5\n3,5\n")["correlation"]["x"] == {"x": 1.0, "y": None}


def test_correlation_uses_rows_that_have_both(function: ModuleType) -> None:
    """Gaps in different rows must not shift one column against the other."""
    assert answer(function, "x,y\n1,2\n2,\n,6\n4,8\n5,10\n")["correlation"]["x"]["y"] == 1.0


def test_outliers_need_a_scale(function: ModuleType) -> None:
    """If most readings are equal, their median deviation is zero and judges nobody."""
    outliers = answer(function, "x\n1\n1\n1\n1\n9\n")["columns"]["x"]["outliers"]

    assert outliers == {"mad": 0.0, "count": 0, "first": []}


def test_only_the_first_outliers_are_shown(function: ModuleType) -> None:
    """A broken sensor must not fill the answer."""
    rows = [*(str(value % 7) for value in range(200)), *["900"] * 20]

    outliers = answer(function, "\n".join(["x", *rows]))["columns"]["x"]["outliers"]

    assert outliers["count"] == 20
    assert [each["row"] for each in outliers["first"]] == [201, 202, 203, 204, 205]


def test_extreme_numbers_stay_numbers(function: ModuleType) -> None:
    """Squares of the largest number that is let in don't overflow, those of the smallest don't divide by zero."""
    result = answer(function, "big,small\n1e100,1e-300\n-1e100,-1e-300\n0,0\n")

    assert result["columns"]["big"]["std"] == 1e100
    assert result["correlation"]["small"]["small"] is None


def test_windows_tables_are_read(function: ModuleType) -> None:
    """A byte-order mark, carriage returns, quotes and blank lines are what spreadsheets write."""
    table = b'\xef\xbb\xbf"x, in bar",y\r\n"1",a\r\n\r\n"2",b\r\n'

    assert list(answer(function, table)["columns"]) == ["x, in bar", "y"]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("", "the table is empty"),
        ("\n\n", "the table is empty"),
        ("x,x\n1,2\n", "each column needs a name of its own"),
        ("x,\n1,2\n", "each column needs a name of its own"),
        ("x,y\n1,2\n3\n", "row 2: 1 cells, but 2 columns"),
        ("x\n1,2\n", "row 1: 2 cells, but 1 columns"),
        (",".join(f"c{n}" for n in range(33)) + "\n", "33 columns; at most 32"),
        ("x\n1e101\n", "a number is beyond"),
        ("x\n1e999\n", "a number is beyond"),
        ('x\n"1\n', "not a CSV table"),
        ("x\n" + "1" * 200_000 + "\n", "not a CSV table"),
        (b"x\n\xff\n", "not a CSV table"),
    ],
)
def test_tables_that_are_none_are_refused(table: str | bytes, reason: str, function: ModuleType) -> None:
    """The caller reads what is wrong and where."""
    assert refusal(function, table).startswith(reason)
