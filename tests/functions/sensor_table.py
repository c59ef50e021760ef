"""The table that `functions/table-statistics/sample.csv` holds, made anew from nothing.

A month of one reading every quarter of an hour from a pump. There is no random
generator in it: noise is the sum of the bytes of a SHA-256 over the cell's
name, so that every machine makes the same bytes.
Run this file to write the table to standard output.
"""

from __future__ import annotations

import hashlib
import sys
from datetime import datetime, timedelta

ROWS = 2880
START = datetime.fromisoformat("2025-03-01T00:00:00+00:00")
COLUMNS = ("time", "pump", "temperature_c", "vibration_mm_s", "pressure_bar", "flow_m3_h", "power_kw")


def noise(row: int, column: str) -> float:
    """Return about a normal deviate: 32 uniform bytes summed, minus their mean, over their deviation (418)."""
    return (sum(hashlib.sha256(f"{column}/{row}".encode()).digest()) - 4080) / 418


def row_of(row: int) -> list[str]:
    """Return the cells of one row: a daily load, a slow wear, a few faults and a few gaps."""
    hour = row / 4 % 24
    load = 1 - abs(hour - 13) / 13  # a triangle: full in the early afternoon, empty at night
    wear = row / ROWS
    flow = 80 + 40 * load + 2 * noise(row, "flow")
    cells = {
        "temperature_c": f"{41 + 14 * load + 3 * wear + 0.8 * noise(row, 'temperature'):.1f}",
        "vibration_mm_s": f"{1.6 + 0.5 * load + 0.9 * wear + 0.15 * noise(row, 'vibration'):.2f}",
        "pressure_bar": f"{6.2 - 0.8 * load + 0.05 * noise(row, 'pressure'):.2f}",
        "flow_m3_h": f"{flow:.1f}",
        "power_kw": f"{4 + 0.11 * flow + 0.2 * noise(row, 'power'):.2f}",
    }
    if row % 613 == 600:
        cells["vibration_mm_s"] = "11.40"  # a bearing knocks
    if row % 977 == 500:
        cells["temperature_c"] = "125.0"  # the sensor is short-circuited
    if row % 211 == 17:
        cells["pressure_bar"] = ""  # the transmitter was silent
    time = (START + timedelta(minutes=15 * row)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [time, "pump-A" if row % 2 else "pump-B", *cells.values()]


def table() -> str:
    """Return the whole table as CSV."""
    return "".join(",".join(line) + "\n" for line in (list(COLUMNS), *map(row_of, range(ROWS))))


if __name__ == "__main__":
    sys.stdout.write(table())
