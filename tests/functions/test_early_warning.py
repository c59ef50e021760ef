"""The NEWS2 score, band by band as the Royal College of Physicians' chart 1 (2017) prints it."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

WELL: dict[str, Any] = {
    "patient": "bed-1",
    "taken_at": "2025-03-14T08:30:00Z",
    "respiration_rate": 16,
    "spo2": 97,
    "spo2_scale": 1,
    "supplemental_oxygen": False,
    "systolic_bp": 125,
    "pulse": 72,
    "consciousness": "alert",
    "temperature": 36.8,
}


@pytest.fixture
def function(load: Callable[[str], ModuleType]) -> ModuleType:
    """Return the function's module."""
    return load("early-warning")


def answer(function: ModuleType, **changed: object) -> dict[str, Any]:
    """Return the answer for a well patient with these readings changed."""
    return json.loads(function.handle(json.dumps(WELL | changed).encode()))


def refusal(function: ModuleType, payload: bytes) -> str:
    """Return why a payload is refused."""
    with pytest.raises(ValueError) as refused:
        function.handle(payload)
    return str(refused.value)


# First and last reading of each band of the chart, with the band's points.
BANDS = {
    "respiration_rate": [(0, 8, 3), (9, 11, 1), (12, 20, 0), (21, 24, 2), (25, 80, 3)],
    "spo2": [(30, 91, 3), (92, 93, 2), (94, 95, 1), (96, 100, 0)],
    "systolic_bp": [(20, 90, 3), (91, 100, 2), (101, 110, 1), (111, 219, 0), (220, 320, 3)],
    "pulse": [(0, 40, 3), (41, 50, 1), (51, 90, 0), (91, 110, 1), (111, 130, 2), (131, 350, 3)],
    "temperature": [(25.0, 35.0, 3), (35.1, 36.0, 1), (36.1, 38.0, 0), (38.1, 39.0, 1), (39.1, 45.0, 2)],
}
EDGES = [(name, value, band[2]) for name, bands in BANDS.items() for band in bands for value in band[:2]]


@pytest.mark.parametrize(("name", "value", "points"), EDGES)
def test_each_band_ends_where_the_chart_says(name: str, value: float, points: int, function: ModuleType) -> None:
    """One step beyond a band's edge is another score, and perhaps another response."""
    result = answer(function, **{name: value})

    assert result["points"] == dict.fromkeys(result["points"], 0) | {name: points}
    assert result["total"] == points


@pytest.mark.parametrize(
    ("oxygen", "first", "last", "points"),
    [
        (False, 30, 83, 3),
        (False, 84, 85, 2),
        (False, 86, 87, 1),
        (False, 88, 92, 0),
        (False, 93, 100, 0),  # on air, a high saturation is good news
        (True, 30, 83, 3),
        (True, 84, 85, 2),
        (True, 86, 87, 1),
        (True, 88, 92, 0),
        (True, 93, 94, 1),  # on oxygen, it is too much oxygen
        (True, 95, 96, 2),
        (True, 97, 100, 3),
    ],
)
def test_scale_2_depends_on_oxygen(oxygen: bool, first: int, last: int, points: int, function: ModuleType) -> None:  # noqa: FBT001 - a column of the chart
    """Scale 2 is for hypercapnic patients, whom too much oxygen harms."""
    for spo2 in (first, last):
        assert answer(function, spo2=spo2, spo2_scale=2, supplemental_oxygen=oxygen)["points"]["spo2"] == points


def test_oxygen_costs_two_points(function: ModuleType) -> None:
    """Whoever needs oxygen is less well than the saturation says."""
    assert answer(function, supplemental_oxygen=True)["points"]["supplemental_oxygen"] == 2


@pytest.mark.parametrize("word", ["confused", "voice", "pain", "unresponsive"])
def test_anything_but_alert_is_a_red_score(word: str, function: ModuleType) -> None:
    """The C of ACVPU, new confusion, came with NEWS2 and counts like the others."""
    result = answer(function, consciousness=word)

    assert result["red_scores"] == ["consciousness"]
    assert result["single_red_score"] is True


@pytest.mark.parametrize(
    ("reading", "rounded_up"), [(38.04, False), (38.05, True), (35.04, False), (35.05, True)], ids=str
)
def test_finer_temperatures_are_charted_in_tenths(reading: float, rounded_up: bool, function: ModuleType) -> None:  # noqa: FBT001 - a column
    """38.05 is charted as 38.1; a binary float would make it 38.0."""
    tenth = round(int(reading * 10) / 10 + (0.1 if rounded_up else 0), 1)

    assert answer(function, temperature=reading)["points"] == answer(function, temperature=tenth)["points"]
    if rounded_up:
        assert answer(function, temperature=reading)["points"] != answer(function, temperature=tenth - 0.1)["points"]


@pytest.mark.parametrize(
    ("changed", "total", "risk", "monitoring"),
    [
        ({}, 0, "low", "at least every 12 hours"),
        ({"pulse": 95}, 1, "low", "at least every 4 to 6 hours"),
        ({"pulse": 115, "respiration_rate": 22}, 4, "low", "at least every 4 to 6 hours"),
        ({"pulse": 135}, 3, "low-medium", "at least every hour"),
        ({"pulse": 135, "temperature": 38.5}, 4, "low-medium", "at least every hour"),
        ({"pulse": 115, "respiration_rate": 22, "temperature": 38.5}, 5, "medium", "at least every hour"),
        ({"pulse": 135, "respiration_rate": 22, "temperature": 38.5}, 6, "medium", "at least every hour"),
        ({"pulse": 135, "respiration_rate": 22, "temperature": 39.5}, 7, "high", "continuous"),
    ],
)
def test_response_follows_the_thresholds(
    changed: dict[str, Any], total: int, risk: str, monitoring: str, function: ModuleType
) -> None:
    """Charts 2 and 4: thresholds at 1, 5 and 7, and a single red score asks for more than its sum does."""
    result = answer(function, **changed)

    assert (result["total"], result["clinical_risk"], result["monitoring"]) == (total, risk, monitoring)
    assert result["alarm"] is (risk != "low")


def test_the_worst_patient_scores_twenty(function: ModuleType) -> None:
    """The largest sum that the chart allows: six threes and two for oxygen; a temperature gives three when low."""
    worst = {
        "respiration_rate": 30,
        "spo2": 80,
        "supplemental_oxygen": True,
        "systolic_bp": 80,
        "pulse": 140,
        "consciousness": "unresponsive",
        "temperature": 34.0,
    }

    assert answer(function, **worst)["total"] == 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("respiration_rate", 81),
        ("respiration_rate", -1),
        ("respiration_rate", 16.5),
        ("respiration_rate", "16"),
        ("respiration_rate", True),
        ("respiration_rate", None),
        ("spo2", 101),
        ("spo2", 0.97),
        ("spo2_scale", 3),
        ("spo2_scale", True),
        ("spo2_scale", []),
        ("supplemental_oxygen", 1),
        ("supplemental_oxygen", "air"),
        ("systolic_bp", 19),
        ("pulse", 351),
        ("consciousness", "A"),
        ("consciousness", ["alert"]),
        ("temperature", 98.6),
        ("temperature", "36.8"),
        ("patient", ""),
        ("patient", "x" * 65),
        ("patient", 12),
        ("taken_at", "2025-03-14T08:30:00"),
        ("taken_at", "yesterday"),
        ("taken_at", 1741941000),
    ],
)
def test_impossible_readings_are_refused_by_name(name: str, value: object, function: ModuleType) -> None:
    """A sensor that is off, a unit that is another, a number that is a text: never a score."""
    assert refusal(function, json.dumps(WELL | {name: value}).encode()).startswith(f"{name}: must be ")


@pytest.mark.parametrize("name", sorted(WELL))
def test_missing_readings_are_refused_by_name(name: str, function: ModuleType) -> None:
    """A sum over six measurements would look better than the patient is."""
    partial = {key: value for key, value in WELL.items() if key != name}

    assert refusal(function, json.dumps(partial).encode()) == f"missing: {name}"


def test_unknown_readings_are_refused_by_name(function: ModuleType) -> None:
    """A misspelt key would otherwise be silence."""
    assert refusal(function, json.dumps(WELL | {"puls": 140}).encode()).startswith("unknown: puls; known: ")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"1",
        b"\xff",
        b"[" * 100_000,
        b'{"pulse": NaN}',
        b'{"pulse": 60, "pulse": 140}',
        b'{"pulse": 1e9999999999999999999}',
        b'{"pulse": ' + b"1" * 5000 + b"}",
    ],
    ids=["empty", "list", "number", "not UTF-8", "deep", "NaN", "twice", "huge exponent", "long number"],
)
def test_malformed_payloads_are_refused_in_words(payload: bytes, function: ModuleType) -> None:
    """Whoever sent it reads why, in a sentence."""
    assert refusal(function, payload).startswith("the payload must be one JSON object")
