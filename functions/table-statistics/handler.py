"""Table statistics: what a CSV of sensor readings says, and where it looks wrong.

The first line names the columns. A column whose filled cells are all numbers
gets mean, standard deviation (n - 1), quartiles and outliers; any other column
is only counted. A month of machine data leaves the factory sealed; what comes
back is a page.

The answer is the same on each machine: sums are exact (`math.fsum`), because the
order in which vector units and BLAS add changes the last digits, and numbers
are rounded to six significant digits.
"""

import csv
import io
import json
import math
import re
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = {"", "na", "n/a", "nan", "null", "none", "-"}
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)  # float() would take "1_0" and "inf"
MOST_COLUMNS = 32  # correlations grow with its square
LARGEST = 1e100  # squares of larger numbers would overflow
SHOWN_OUTLIERS = 5

Numbers = NDArray[np.float64]


def handle(payload: bytes) -> bytes:
    """Summarise a CSV table: UTF-8, comma-separated, one line of column names, then one line per row."""
    names, rows = read_table(payload)
    cells = dict(zip(names, zip(*rows, strict=True) if rows else [()] * len(names), strict=True))
    columns = {name: numbers(values) for name, values in cells.items()}
    numeric = {name: values for name, values in columns.items() if values is not None}
    answer = {
        "rows": len(rows),
        "columns": {
            name: describe_numbers(values) if values is not None else describe_text(cells[name])
            for name, values in columns.items()
        },
        "correlation": correlations(numeric),
    }
    return (json.dumps(answer, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_table(payload: bytes) -> tuple[list[str], list[list[str]]]:
    try:
        reader = csv.reader(io.StringIO(payload.decode("utf-8-sig"), newline=""), strict=True)
        lines = [[cell.strip() for cell in line] for line in reader if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"not a CSV table in UTF-8: {error}") from None
    if not lines:
        raise ValueError("the table is empty: its first line must name the columns")
    names, *rows = lines
    if "" in names or len(set(names)) != len(names):
        raise ValueError("each column needs a name of its own")
    if len(names) > MOST_COLUMNS:
        raise ValueError(f"{len(names)} columns; at most {MOST_COLUMNS}")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise ValueError(f"row {number}: {len(row)} cells, but {len(names)} columns")
    return names, rows


def numbers(values: tuple[str, ...]) -> Numbers | None:
    """Return a column as numbers, NaN where one is missing; None if it holds anything else or nothing at all."""
    missing = [cell.lower() in MISSING for cell in values]
    if all(missing) or not all(gap or NUMBER.fullmatch(cell) for cell, gap in zip(values, missing, strict=True)):
        return None
    column = np.array([math.nan if gap else float(cell) for cell, gap in zip(values, missing, strict=True)])
    if np.any(np.abs(column) > LARGEST):
        raise ValueError(f"a number is beyond ±{LARGEST:.0e}")
    return column


def describe_text(values: tuple[str, ...]) -> dict[str, Any]:
    filled = [cell for cell in values if cell.lower() not in MISSING]
    return {"kind": "text", "count": len(filled), "missing": len(values) - len(filled), "distinct": len(set(filled))}


def describe_numbers(column: Numbers) -> dict[str, Any]:
    filled = column[~np.isnan(column)]
    low, first, middle, third, high = np.percentile(filled, [0, 25, 50, 75, 100])
    return {
        "kind": "number",
        "count": len(filled),
        "missing": len(column) - len(filled),
        "mean": rounded(mean(filled)),
        "std": rounded(math.sqrt(mean_product(filled, filled))) if len(filled) > 1 else None,
        "min": rounded(low),
        "quartiles": [rounded(first), rounded(middle), rounded(third)],
        "max": rounded(high),
        "outliers": outliers(column, median=middle),
    }


def outliers(column: Numbers, *, median: float) -> dict[str, Any]:
    """Find readings far from the median, measured in median absolute deviations.

    The modified z-score of Iglewicz and Hoaglin (1993), with their limit of 3.5:
    unlike the standard deviation, it isn't stretched by the outliers themselves.
    """
    distance = np.abs(column - median)
    mad = float(np.nanmedian(distance))
    if mad == 0:  # more than half of the readings are equal: there is no scale to measure the others by
        return {"mad": 0.0, "count": 0, "first": []}
    found = np.flatnonzero(0.6745 * distance > 3.5 * mad)
    first = [{"row": int(row) + 1, "value": rounded(column[row])} for row in found[:SHOWN_OUTLIERS]]
    return {"mad": rounded(mad), "count": len(found), "first": first}


def correlations(columns: dict[str, Numbers]) -> dict[str, dict[str, float | None]]:
    matrix: dict[str, dict[str, float | None]] = {name: {} for name in columns}
    for one, other in combinations_with_replacement(columns, 2):
        matrix[one][other] = matrix[other][one] = correlation(columns[one], columns[other])
    return matrix


def correlation(one: Numbers, other: Numbers) -> float | None:
    """Return Pearson's r over the rows that have both; None where a column does not vary."""
    both = ~(np.isnan(one) | np.isnan(other))
    if np.count_nonzero(both) < 2:
        return None
    one, other = one[both], other[both]
    spread = math.sqrt(mean_product(one, one)) * math.sqrt(mean_product(other, other))
    return rounded(mean_product(one, other) / spread) if spread > 0 else None


def mean(values: Numbers) -> float:
    return math.fsum(values.tolist()) / len(values)


def mean_product(one: Numbers, other: Numbers) -> float:
    """Return the covariance, with n - 1."""
    return math.fsum(((one - mean(one)) * (other - mean(other))).tolist()) / (len(one) - 1)


def rounded(value: float) -> float:
    return float(f"{value:.6g}") + 0.0  # + 0.0 turns -0.0 into 0.0
