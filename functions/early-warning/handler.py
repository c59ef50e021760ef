"""NEWS2: how ill is this patient, from one set of vital signs.

The National Early Warning Score 2 of the Royal College of Physicians (London,
2017) gives each of seven measurements 0 to 3 points, oxygen 0 or 2; the sum, or
a single 3 (a "red score"), decides how urgently a clinician has to come. It is
meant for people of 16 years and older who are not pregnant.

Input: one JSON object with the keys of FIELDS. Output: the points of each
measurement, their sum, the risk band and the response that the RCP asks for.
A reading that is missing, misspelt or impossible is an error: a score made from
half the measurements would look reassuring.
"""

import json
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

# Plausible at the bedside, (lowest, highest): outside it, the sensor is off or the unit is another.
RANGES = {
    "respiration_rate": (0, 80),  # breaths per minute
    "spo2": (30, 100),  # %
    "systolic_bp": (20, 320),  # mmHg
    "pulse": (0, 350),  # beats per minute
    "temperature": (25, 45),  # °C
}
FIELDS = {"patient", "taken_at", "spo2_scale", "supplemental_oxygen", "consciousness", *RANGES}
CONSCIOUSNESS = {"alert": 0, "confused": 3, "voice": 3, "pain": 3, "unresponsive": 3}  # ACVPU; confused: newly so

# The chart, as (highest value of the band, points); the last band has no end.
END = Decimal("Infinity")
RESPIRATION_RATE = [(8, 3), (11, 1), (20, 0), (24, 2), (END, 3)]
SPO2_SCALE_1 = [(91, 3), (93, 2), (95, 1), (END, 0)]
SPO2_SCALE_2_AIR = [(83, 3), (85, 2), (87, 1), (END, 0)]
SPO2_SCALE_2_OXYGEN = [(83, 3), (85, 2), (87, 1), (92, 0), (94, 1), (96, 2), (END, 3)]
SYSTOLIC_BP = [(90, 3), (100, 2), (110, 1), (219, 0), (END, 3)]
PULSE = [(40, 3), (50, 1), (90, 0), (110, 1), (130, 2), (END, 3)]
TEMPERATURE = [(Decimal("35.0"), 3), (Decimal("36.0"), 1), (Decimal("38.0"), 0), (Decimal("39.0"), 1), (END, 2)]


def handle(payload: bytes) -> bytes:
    """Score one observation."""
    observation = read_observation(payload)
    points = score(observation)
    total = sum(points.values())
    red = [name for name, value in points.items() if value == 3]
    risk, monitoring, action = response(total, red=red)
    answer = {
        "patient": observation["patient"],
        "taken_at": observation["taken_at"],
        "standard": "NEWS2 (RCP, 2017)",
        "total": total,
        "points": points,
        "single_red_score": bool(red),
        "red_scores": red,
        "clinical_risk": risk,
        "alarm": risk != "low",
        "monitoring": monitoring,
        "action": action,
    }
    return (json.dumps(answer, indent=2, ensure_ascii=False) + "\n").encode()


def score(observation: dict[str, Any]) -> dict[str, int]:
    """Return the points of each measurement; scale 2 is for patients whose prescribed target is 88 to 92 %."""
    on_oxygen = observation["supplemental_oxygen"]
    if observation["spo2_scale"] == 1:
        saturation = SPO2_SCALE_1
    else:
        saturation = SPO2_SCALE_2_OXYGEN if on_oxygen else SPO2_SCALE_2_AIR
    return {
        "respiration_rate": points_in(RESPIRATION_RATE, observation["respiration_rate"]),
        "spo2": points_in(saturation, observation["spo2"]),
        "supplemental_oxygen": 2 if on_oxygen else 0,
        "systolic_bp": points_in(SYSTOLIC_BP, observation["systolic_bp"]),
        "pulse": points_in(PULSE, observation["pulse"]),
        "consciousness": CONSCIOUSNESS[observation["consciousness"]],
        "temperature": points_in(TEMPERATURE, observation["temperature"]),
    }


def points_in(bands: list[tuple[Any, int]], value: Any) -> int:
    return next(points for highest, points in bands if value <= highest)


def response(total: int, *, red: list[str]) -> tuple[str, str, str]:
    """Return (clinical risk, how often to measure, what to do), after charts 2 and 4 of the RCP's report."""
    if total >= 7:
        return (
            "high",
            "continuous",
            "Emergency: a critical-care team assesses; a specialist registrar or above is informed",
        )
    if total >= 5:
        return "medium", "at least every hour", "Urgent: assessment by a clinician competent in acute illness"
    if red:
        return "low-medium", "at least every hour", "Urgent ward review: the medical team decides on escalation"
    if total >= 1:
        return "low", "at least every 4 to 6 hours", "A registered nurse assesses and decides on escalation"
    return "low", "at least every 12 hours", "Continue routine monitoring"


def read_observation(payload: bytes) -> dict[str, Any]:
    """Read and check the input; a ValueError says which key is wrong and what it should be."""
    try:
        observation = json.loads(
            payload, parse_float=Decimal, parse_constant=refuse_constant, object_pairs_hook=refuse_duplicates
        )
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"the payload must be one JSON object in UTF-8: {str(error)[:120]}") from None
    if type(observation) is not dict:
        raise ValueError("the payload must be one JSON object")
    if missing := FIELDS - observation.keys():
        raise ValueError(f"missing: {', '.join(sorted(missing))}")
    if unknown := observation.keys() - FIELDS:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))[:80]}; known: {', '.join(sorted(FIELDS))}")
    for name, (lowest, highest) in RANGES.items():
        check_number(name, observation[name], lowest=lowest, highest=highest)
    # The chart has steps of 0.1 °C: a finer reading is rounded as a nurse would chart it.
    observation["temperature"] = Decimal(observation["temperature"]).quantize(Decimal("0.1"), ROUND_HALF_UP)
    check_words(observation)
    return observation


def check_number(name: str, value: Any, *, lowest: int, highest: int) -> None:
    whole = name != "temperature"
    kinds = (int,) if whole else (int, Decimal)
    if type(value) not in kinds or not lowest <= value <= highest:  # a bool is an int, too, but no measurement
        raise ValueError(f"{name}: must be a {'whole ' if whole else ''}number between {lowest} and {highest}")


def check_words(observation: dict[str, Any]) -> None:
    patient, taken_at = observation["patient"], observation["taken_at"]
    if not isinstance(patient, str) or not 1 <= len(patient) <= 64:
        raise ValueError("patient: must be a text of 1 to 64 characters")
    try:
        aware = datetime.fromisoformat(taken_at).tzinfo is not None
    except (TypeError, ValueError):
        aware = False
    if not aware:
        raise ValueError('taken_at: must be a time with its zone, like "2025-03-14T08:30:00Z"')
    if type(observation["spo2_scale"]) is not int or observation["spo2_scale"] not in (1, 2):
        raise ValueError("spo2_scale: must be 1, or 2 for a prescribed target of 88 to 92 %")
    if type(observation["supplemental_oxygen"]) is not bool:
        raise ValueError("supplemental_oxygen: must be true or false")
    if not isinstance(observation["consciousness"], str) or observation["consciousness"] not in CONSCIOUSNESS:
        raise ValueError(f"consciousness: must be one of {', '.join(CONSCIOUSNESS)}")


def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice, and which of the two counts is anybody's guess")
    return dict(pairs)


def refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not a measurement")
