"""One rule of the invoice check at a time, on an invoice that is otherwise right."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

GOOD: dict[str, Any] = {
    "number": "2025-7",
    "issue_date": "2025-03-14",
    "due_date": "2025-04-13",
    "type": "380",
    "currency": "EUR",
    "seller": {"name": "Hydraulik Nord GmbH", "country": "DE", "vat_id": "DE136695976"},
    "buyer": {"name": "Waterworks of Delft", "country": "NL", "vat_id": "NL123456789B01"},
    "payment": {"iban": "DE89 3704 0044 0532 0130 00"},
    "lines": [
        {"id": "1", "name": "Pump", "quantity": 2, "price": "1249.50", "net": 2499.00, "vat_rate": "19"},
        {"id": "2", "name": "Seal kit", "quantity": "1.5", "price": "18.333", "net": "27.50", "vat_rate": 19.0},
        {"id": "3", "name": "Handbook", "quantity": 1, "price": "40.00", "net": "40.00", "vat_rate": 7},
    ],
    "vat_breakdown": [
        {"rate": 19, "taxable": "2526.50", "tax": "480.04"},
        {"rate": "7", "taxable": "40.00", "tax": "2.80"},
    ],
    "totals": {
        "lines": "2566.50",
        "without_vat": "2566.50",
        "vat": "482.84",
        "with_vat": "3049.34",
        "prepaid": "49.34",
        "due": "3000.00",
    },
}
REMOVED = object()


@pytest.fixture
def function(load: Callable[[str], ModuleType]) -> ModuleType:
    """Return the function's module."""
    return load("invoice-check")


def turned(changes: dict[str, object]) -> dict[str, Any]:
    """Return the good invoice with some values at JSON pointers turned or taken out."""
    invoice = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *parents, last = path.strip("/").split("/")
        place: Any = invoice
        for key in parents:
            place = place[int(key) if isinstance(place, list) else key]
        if value is REMOVED:
            del place[last]
        else:
            place[int(last) if isinstance(place, list) else last] = value
    return invoice


def answer(function: ModuleType, payload: bytes) -> dict[str, Any]:
    """Return the answer for a payload."""
    return json.loads(function.handle(payload))


def broken(function: ModuleType, changes: dict[str, object]) -> list[tuple[str, str]]:
    """Return the broken rules and their places after some changes."""
    result = answer(function, json.dumps(turned(changes)).encode())
    assert result["verdict"] == ("invalid" if result["errors"] else "valid")
    return [(error["rule"], error["path"]) for error in result["errors"]]


def test_good_invoice_is_valid(function: ModuleType) -> None:
    """Numbers as JSON numbers and as text, rates as 19, "19" and 19.0: the same decimals."""
    assert broken(function, {}) == []


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/number", "BR-02"),
        ("/issue_date", "BR-03"),
        ("/type", "BR-04"),
        ("/currency", "BR-05"),
        ("/seller/name", "BR-06"),
        ("/buyer/name", "BR-07"),
        ("/seller/country", "BR-09"),
        ("/buyer/country", "BR-11"),
        ("/totals/lines", "BR-12"),
        ("/totals/without_vat", "BR-13"),
        ("/totals/vat", "BR-CO-14"),
        ("/totals/with_vat", "BR-14"),
        ("/totals/due", "BR-15"),
        ("/lines/1/id", "BR-21"),
        ("/lines/1/quantity", "BR-22"),
        ("/lines/1/net", "BR-24"),
        ("/lines/1/name", "BR-25"),
        ("/lines/1/price", "BR-26"),
        ("/lines/1/vat_rate", "BR-CO-04"),
        ("/vat_breakdown/0/rate", "BR-48"),
        ("/vat_breakdown/0/taxable", "BR-45"),
        ("/vat_breakdown/0/tax", "BR-46"),
    ],
)
@pytest.mark.parametrize(
    "value", [REMOVED, "", "  ", None, [], {}], ids=["removed", "empty", "blank", "null", "list", "object"]
)
def test_mandatory_fields_are_missed_by_their_rule(path: str, rule: str, value: object, function: ModuleType) -> None:
    """What is empty or of another kind is as good as absent."""
    assert broken(function, {path: value}) == [(rule, path)]


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"/type": "999"}, [("BR-CL-01", "/type")]),
        ({"/currency": "EURO"}, [("BR-CL-04", "/currency")]),
        ({"/currency": "eur"}, [("BR-CL-04", "/currency")]),
        ({"/currency": "HRK"}, [("BR-CL-04", "/currency")]),  # Croatia pays in euro
        ({"/currency": "XAU"}, [("BR-CL-04", "/currency")]),  # gold is on the list, but nobody invoices in it
        ({"/issue_date": "14.03.2025"}, [("X-DATE", "/issue_date")]),
        ({"/issue_date": "2025-02-29"}, [("X-DATE", "/issue_date")]),
        ({"/due_date": "2025-03-13"}, [("X-DUE-DATE", "/due_date")]),
        ({"/due_date": REMOVED}, [("BR-CO-25", "/due_date")]),
        ({"/due_date": REMOVED, "/payment/terms": "30 days"}, []),
        ({"/due_date": "2025-03-14"}, []),
        ({"/payment/iban": REMOVED}, []),
        ({"/payment": "cash"}, []),
        ({"/lines/2/id": "1"}, [("X-LINE-ID", "/lines/2/id")]),
        ({"/lines/2/id": 1}, [("X-LINE-ID", "/lines/2/id")]),
        ({"/lines/2/quantity": 0}, [("X-QUANTITY", "/lines/2/quantity"), ("X-LINE-NET", "/lines/2/net")]),
        (
            {"/lines/2/quantity": -1, "/lines/2/price": "-40"},
            [("X-QUANTITY", "/lines/2/quantity"), ("BR-27", "/lines/2/price")],
        ),
        ({"/lines/2/price": "41"}, [("X-LINE-NET", "/lines/2/net")]),
        ({"/lines/2/vat_rate": "7.00"}, []),
        ({"/vat_breakdown/0/tax": "480.03"}, [("BR-CO-17", "/vat_breakdown/0/tax"), ("BR-CO-14", "/totals/vat")]),
        ({"/vat_breakdown/0/tax": "480.035"}, [("BR-DEC", "/vat_breakdown/0/tax")]),
        ({"/totals/lines": "2566.49"}, [("BR-CO-10", "/totals/lines"), ("BR-CO-13", "/totals/without_vat")]),
        ({"/totals/with_vat": "3049.35", "/totals/due": "3000.01"}, [("BR-CO-15", "/totals/with_vat")]),
        ({"/totals/due": "3049.34"}, [("BR-CO-16", "/totals/due")]),
        ({"/totals/due": "3049.34", "/totals/prepaid": REMOVED}, []),
        ({"/totals/prepaid": "much"}, [("X-NUMBER", "/totals/prepaid")]),
    ],
)
def test_one_turned_thing_breaks_its_rule(
    changes: dict[str, object], errors: list[tuple[str, str]], function: ModuleType
) -> None:
    """And no other, but for what follows from it."""
    assert broken(function, changes) == errors


def test_each_rate_has_one_group(function: ModuleType) -> None:
    """A rate without a group, a group without lines, and two groups of one rate are three mistakes."""
    orphan = {"/lines/2/vat_rate": 0}
    assert ("BR-S-01", "/vat_breakdown") in broken(function, orphan)
    assert ("BR-S-08", "/vat_breakdown/1/taxable") in broken(function, orphan)
    assert ("X-VAT-GROUP", "/vat_breakdown/1/rate") in broken(function, {"/vat_breakdown/1/rate": "19.0"})


def test_empty_lists_are_reported(function: ModuleType) -> None:
    """An invoice without lines, or without VAT, is not an empty success."""
    for nothing in ([], REMOVED, "none", {}):
        assert ("BR-16", "/lines") in broken(function, {"/lines": nothing})
        assert ("BR-CO-18", "/vat_breakdown") in broken(function, {"/vat_breakdown": nothing})


@pytest.mark.parametrize(
    "number", ["1e3", "1E400", 1e300, "NaN", "Infinity", "1,5", "+1", "٣", "1.0000001", "1" * 16, True]
)
def test_only_plain_decimals_are_numbers(number: object, function: ModuleType) -> None:
    """An exponent of nine digits would cost gigabytes when it is written out."""
    assert broken(function, {"/totals/due": number}) == [("BR-15", "/totals/due")]


def test_cents_are_decimal(function: ModuleType) -> None:
    """Half a cent goes up: not down, as in a binary float, and not to the even digit, as Decimal does by itself."""
    changes: dict[str, object] = {
        "/lines": [{"id": "1", "name": "Bolt", "quantity": "1", "price": "2.665", "net": "2.67", "vat_rate": "0"}],
        "/vat_breakdown": [{"rate": "0", "taxable": "2.67", "tax": "0"}],
        "/totals": {"lines": 2.67, "without_vat": 2.67, "vat": 0, "with_vat": 2.67, "due": 2.67},
    }

    assert broken(function, changes) == []


def test_the_largest_amounts_are_exact(function: ModuleType) -> None:
    """A product of 42 digits is more than Decimal keeps by default."""
    changes = {"/lines/0/quantity": "999999999999999.999999", "/lines/0/price": "999999999999999.999999"}

    result = answer(function, json.dumps(turned(dict(changes))).encode())

    assert result["errors"][0]["message"].endswith("= 999999999999999999998000000000.00")


@pytest.mark.parametrize(
    "iban",
    [
        "GB82 WEST 1234 5698 7654 32",
        "DE89370400440532013000",
        "FR14 2004 1010 0505 0001 3M02 606",
        "NO93 8601 1117 947",
        "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
    ],
)
def test_iban_check_digits(iban: str, function: ModuleType) -> None:
    """The registry's own examples pass; one wrong character, or two swapped, never do."""
    assert broken(function, {"/payment/iban": iban}) == []

    compact = iban.replace(" ", "")
    wrong = [compact[:at] + ("1" if compact[at] != "1" else "2") + compact[at + 1 :] for at in range(4, len(compact))]
    swapped = [compact[:at] + compact[at + 1] + compact[at] + compact[at + 2 :] for at in range(4, len(compact) - 1)]
    for turned_iban in {*wrong, *swapped} - {compact}:
        assert broken(function, {"/payment/iban": turned_iban}) == [("X-IBAN", "/payment/iban")], turned_iban


@pytest.mark.parametrize(
    ("country", "vat_id", "rule"),
    [
        ("AT", "ATU12345678", None),
        ("BE", "BE0123456789", None),
        ("ES", "ESX1234567X", None),
        ("FR", "FRXX123456789", None),
        ("GR", "EL123456789", None),
        ("IE", "IE1234567FA", None),
        ("SE", "SE123456789701", None),
        ("GB", "XI123456789", None),
        ("GB", "GB123456789", None),
        ("CH", "CHE123456789", None),
        ("AT", "AT12345678", "X-VAT-ID"),
        ("DE", "DE12345678", "X-VAT-ID"),
        ("DE", "DE 123456789", "X-VAT-ID"),
        ("SE", "SE123456789702", "X-VAT-ID"),
        ("GR", "GR123456789", "BR-CO-09"),
        ("DE", "FRXX123456789", "BR-CO-09"),
        ("DE", "123456789", "BR-CO-09"),
    ],
)
def test_vat_ids_have_their_countrys_shape(country: str, vat_id: str, rule: str | None, function: ModuleType) -> None:
    """Greece writes EL, Northern Ireland XI."""
    expected = [(rule, "/seller/vat_id")] if rule else []

    assert broken(function, {"/seller/country": country, "/seller/vat_id": vat_id}) == expected


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"type": "380", "type": "381"}',
        b'{"lines": [' + b'{"a":' * 50_000,
    ],
    ids=["empty", "list", "null", "not UTF-8", "deep", "key twice", "deep objects"],
)
def test_what_is_no_invoice_gets_an_answer(payload: bytes, function: ModuleType) -> None:
    """A program that sends invoices wants one kind of answer for whatever is wrong with them."""
    errors = answer(function, payload)["errors"]

    assert [(error["rule"], error["path"]) for error in errors] == [("X-JSON", "")]


@pytest.mark.parametrize("value", [1, "x", None, True, [], {}, [[]], [{}], [1, "x"], {"0": {}}])
@pytest.mark.parametrize("key", sorted(GOOD))
def test_wrong_kinds_are_findings_not_failures(key: str, value: object, function: ModuleType) -> None:
    """Whatever stands where an object, a list or a text should: the answer says so, and nothing is raised."""
    result = answer(function, json.dumps(GOOD | {key: value}).encode())

    assert "X-JSON" not in {error["rule"] for error in result["errors"]}


@pytest.mark.timeout(20)
def test_a_hopeless_invoice_gets_a_short_answer(
    function: ModuleType, manifest: Callable[[str], dict[str, Any]]
) -> None:
    """A megabyte of empty lines breaks two million rules; the answer shows the first hundred."""
    limits = manifest("invoice-check")["limits"]
    lines = b",".join([b"0"] * (limits["input_bytes"] // 2 - 10))

    output = function.handle(b'{"lines":[' + lines + b"]}")

    assert len(output) < limits["output_bytes"]
    assert len(json.loads(output)["errors"]) == 100
    assert json.loads(output)["more_errors"] is True
