"""Invoice check: is this invoice complete, consistent and payable?

The rules are a working part of EN 16931, the European norm for electronic
invoices, under the norm's own names (BR-...). What the norm leaves open is
checked under X-...: account numbers, shapes of VAT ids, line ids, signs.

Input: one JSON object, see sample.json. Amounts may be JSON numbers or text;
both are read as the decimals that stand there, never as floats. Output: a
verdict, and each broken rule with its place (a JSON pointer, RFC 6901). Sums
are looked at once all their parts are there.
"""

import json
import re
from collections.abc import Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext
from itertools import chain, islice
from typing import Any, NamedTuple

from codes import CURRENCIES, is_iban, is_vat_id

SHOWN_ERRORS = 100  # more of them would help nobody

DECIMAL = re.compile(r"-?\d{1,15}(?:\.\d{1,6})?", re.ASCII)

# What has to be there, and the rule that says so: texts, then decimal numbers.
TEXTS = {
    "number": "BR-02", "issue_date": "BR-03", "type": "BR-04", "currency": "BR-05",
    "seller/name": "BR-06", "buyer/name": "BR-07", "seller/country": "BR-09", "buyer/country": "BR-11",
}  # fmt: skip
TOTALS = {"lines": "BR-12", "without_vat": "BR-13", "vat": "BR-CO-14", "with_vat": "BR-14", "due": "BR-15"}
LINE_TEXTS = {"id": "BR-21", "name": "BR-25"}
LINE_NUMBERS = {"quantity": "BR-22", "price": "BR-26", "net": "BR-24", "vat_rate": "BR-CO-04"}
GROUP_NUMBERS = {"rate": "BR-48", "taxable": "BR-45", "tax": "BR-46"}
FINER = {"quantity", "price", "vat_rate", "rate"}  # the other numbers are money, in cents


class Finding(NamedTuple):
    rule: str
    path: str
    message: str


def handle(payload: bytes) -> bytes:
    """Check one invoice; that it can't be read is an answer, too, not a failure."""
    try:
        # Numbers stay text: a float would round, and one character more in 1e9999999 would cost gigabytes.
        invoice = json.loads(payload, parse_float=str, parse_int=str, object_pairs_hook=unique_keys)
        with localcontext(prec=60):
            findings = list(islice(check(invoice), SHOWN_ERRORS + 1))
    except (ValueError, RecursionError) as error:
        findings = [Finding("X-JSON", "", f"not JSON in UTF-8: {str(error)[:120]}")]
    answer = {
        "verdict": "invalid" if findings else "valid",
        "errors": [finding._asdict() for finding in findings[:SHOWN_ERRORS]],
        "more_errors": len(findings) > SHOWN_ERRORS,
    }
    return (json.dumps(answer, indent=2) + "\n").encode()


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice: two readers could see two invoices")
    return dict(pairs)


def check(invoice: Any) -> Iterator[Finding]:
    if type(invoice) is not dict:
        yield Finding("X-JSON", "", "the invoice must be a JSON object")
        return
    lines, groups = count(invoice, "lines"), count(invoice, "vat_breakdown")
    for path, rule in chain(TEXTS.items(), of_rows("lines", lines, LINE_TEXTS)):
        if not at(invoice, path):
            yield Finding(rule, f"/{path}", "is missing, or no text")
    yield from check_codes(invoice)
    yield from check_dates(invoice)
    for party in ("seller", "buyer"):
        yield from check_vat_id(party, at(invoice, f"{party}/vat_id"), country=at(invoice, f"{party}/country"))
    if (iban := at(invoice, "payment/iban").replace(" ", "")) and not is_iban(iban):
        yield Finding("X-IBAN", "/payment/iban", "the check digits do not fit: a character is wrong or swapped")
    yield from check_line_ids([at(invoice, f"lines/{row}/id") for row in range(lines)])
    if lines == 0:
        yield Finding("BR-16", "/lines", "an invoice has at least one line")
    if groups == 0:
        yield Finding("BR-CO-18", "/vat_breakdown", "an invoice has at least one VAT group")
    readable = True
    for finding in check_numbers(invoice, lines=lines, groups=groups):
        readable = False
        yield finding
    if readable:
        yield from check_lines(invoice, lines)
        yield from check_groups(invoice, lines, groups)
        yield from check_totals(invoice, lines, groups)


def at(tree: Any, path: str) -> str:
    """Return the text or number at a path as text; "" if there is nothing, or something else."""
    for key in path.split("/"):
        match tree:
            case dict():
                tree = tree.get(key)
            case list() if key.isdigit():
                tree = tree[int(key)]
            case _:
                return ""
    return tree.strip() if type(tree) is str else ""


def count(invoice: dict[str, Any], name: str) -> int:
    rows = invoice.get(name)
    return len(rows) if type(rows) is list else 0


def of_rows(name: str, rows: int, rules: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Return path and rule of each field of each row."""
    return ((f"{name}/{row}/{key}", rule) for row in range(rows) for key, rule in rules.items())


def shown(text: str) -> str:
    return repr(text[:40])


def check_codes(invoice: dict[str, Any]) -> Iterator[Finding]:
    if at(invoice, "type") not in ("", "380", "381"):
        yield Finding("BR-CL-01", "/type", "must be 380 (invoice) or 381 (credit note)")
    currency = at(invoice, "currency")
    if currency and currency not in CURRENCIES:
        yield Finding("BR-CL-04", "/currency", f"{shown(currency)} is no currency of ISO 4217")


def check_dates(invoice: dict[str, Any]) -> Iterator[Finding]:
    dates = {}
    for name in ("issue_date", "due_date"):
        if text := at(invoice, name):
            try:
                dates[name] = date.fromisoformat(text)
            except ValueError:
                yield Finding("X-DATE", f"/{name}", f"{shown(text)} is no date like 2025-03-14")
    if len(dates) == 2 and dates["due_date"] < dates["issue_date"]:
        yield Finding("X-DUE-DATE", "/due_date", "the invoice is due before it was issued")


def check_vat_id(party: str, vat_id: str, *, country: str) -> Iterator[Finding]:
    prefixes = {"GR": ("EL",), "GB": ("GB", "XI")}.get(country, (country,))
    if vat_id and not vat_id.startswith(prefixes):
        yield Finding("BR-CO-09", f"/{party}/vat_id", f"must start with {shown(' or '.join(prefixes))}, its country")
    elif vat_id and not is_vat_id(vat_id):
        yield Finding("X-VAT-ID", f"/{party}/vat_id", f"{shown(vat_id)} has not the shape of a VAT id of {vat_id[:2]}")


def check_line_ids(ids: list[str]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for row, name in enumerate(ids):
        if name and first.setdefault(name, row) != row:
            yield Finding("X-LINE-ID", f"/lines/{row}/id", f"{shown(name)} is the id of /lines/{first[name]} already")


def check_numbers(invoice: dict[str, Any], *, lines: int, groups: int) -> Iterator[Finding]:
    totals = TOTALS | ({"prepaid": "X-NUMBER"} if at(invoice, "totals/prepaid") else {})
    for path, rule in chain(
        ((f"totals/{key}", rule) for key, rule in totals.items()),
        of_rows("lines", lines, LINE_NUMBERS),
        of_rows("vat_breakdown", groups, GROUP_NUMBERS),
    ):
        if not DECIMAL.fullmatch(text := at(invoice, path)):
            yield Finding(rule, f"/{path}", "is missing, or no decimal number like 1250.00")
        elif path.rpartition("/")[2] not in FINER and Decimal(text) != cents(Decimal(text)):
            yield Finding("BR-DEC", f"/{path}", "has more than two decimals")


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def numbers(invoice: dict[str, Any], path: str, *keys: str) -> list[Decimal]:
    return [Decimal(at(invoice, f"{path}/{key}")) for key in keys]


def check_lines(invoice: dict[str, Any], lines: int) -> Iterator[Finding]:
    for row in range(lines):
        quantity, price, net = numbers(invoice, f"lines/{row}", "quantity", "price", "net")
        if quantity <= 0:
            yield Finding("X-QUANTITY", f"/lines/{row}/quantity", "must be above 0: goods go back by a credit note")
        if price < 0:
            yield Finding("BR-27", f"/lines/{row}/price", "must not be negative")
        if net != (right := cents(quantity * price)):
            yield Finding("X-LINE-NET", f"/lines/{row}/net", f"is {net}, but {quantity} x {price} = {right}")


def check_groups(invoice: dict[str, Any], lines: int, groups: int) -> Iterator[Finding]:
    """Check that each VAT rate of the lines has one group, and that its amounts are right."""
    nets: dict[Decimal, Decimal] = {}
    for row in range(lines):
        rate, net = numbers(invoice, f"lines/{row}", "vat_rate", "net")
        nets[rate] = nets.get(rate, Decimal("0.00")) + net
    seen = set()
    for row in range(groups):
        path = f"/vat_breakdown/{row}"
        rate, taxable, tax = numbers(invoice, path[1:], "rate", "taxable", "tax")
        if rate in seen:
            yield Finding("X-VAT-GROUP", f"{path}/rate", f"{rate} % has a group already")
        seen.add(rate)
        if taxable != (right := nets.get(rate, Decimal("0.00"))):
            yield Finding("BR-S-08", f"{path}/taxable", f"is {taxable}, but the lines at {rate} % sum up to {right}")
        if tax != (right := cents(taxable * rate / 100)):
            yield Finding("BR-CO-17", f"{path}/tax", f"is {tax}, but {rate} % of {taxable} is {right}")
    for rate in sorted(nets.keys() - seen):
        yield Finding("BR-S-01", "/vat_breakdown", f"there are lines at {rate} %, but no group for them")


def check_totals(invoice: dict[str, Any], lines: int, groups: int) -> Iterator[Finding]:
    """Check each total against the parts that stand there, so that one wrong part is reported once."""
    net, without, vat, whole, due = numbers(invoice, "totals", *TOTALS)
    prepaid = Decimal(at(invoice, "totals/prepaid") or 0)
    of_lines = sum((numbers(invoice, f"lines/{row}", "net")[0] for row in range(lines)), Decimal("0.00"))
    of_groups = sum((numbers(invoice, f"vat_breakdown/{row}", "tax")[0] for row in range(groups)), Decimal("0.00"))
    for rule, key, found, right, what in (
        ("BR-CO-10", "lines", net, of_lines, "the lines sum up to"),
        ("BR-CO-13", "without_vat", without, net, "the lines sum up to"),
        ("BR-CO-14", "vat", vat, of_groups, "the VAT groups sum up to"),
        ("BR-CO-15", "with_vat", whole, without + vat, "the total without VAT plus VAT is"),
        ("BR-CO-16", "due", due, whole - prepaid, "the total with VAT less what was paid is"),
    ):
        if found != right:
            yield Finding(rule, f"/totals/{key}", f"is {found}, but {what} {right}")
    if due > 0 and not (at(invoice, "due_date") or at(invoice, "payment/terms")):
        yield Finding("BR-CO-25", "/due_date", "something is due: say when, by due_date or payment/terms")
