"""What is taken out of a text, what stays in it, and how long hostile text takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

Redact = Callable[[str], str]


@pytest.fixture
def redact(load: Callable[[str], ModuleType]) -> Redact:
    """Return the function from text to text."""
    handle = load("redact").handle
    return lambda text: handle(text.encode()).decode()


def test_the_sentence_of_the_introduction(redact: Redact) -> None:
    """It stands in the README, so it has to be true."""
    assert redact("call me on 555-0100") == "call me on [PHONE]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seen by Dr Patel today", "seen by Dr [NAME] today"),
        ("Dr. J. van der Berg, cardiology", "Dr. [NAME], cardiology"),
        ("Prof. O'Neill and Mrs Smith-Jones", "Prof. [NAME] and Mrs [NAME]"),
        ("Mr Łukasz Żak's knee", "Mr [NAME]'s knee"),
        ("Mr SMITH BP 120/80", "Mr [NAME] BP 120/80"),
        ("Patient name: OKONKWO, Amelia Jane", "Patient name: [NAME]"),
        ("GP: Dr S. Patel", "GP: Dr [NAME]"),
        ("Name: Jane Smith DOB: 1/2/1950", "Name: [NAME] DOB: [DATE_OF_BIRTH]"),
        ("his wife Mary, his son Tom", "his wife [NAME], his son [NAME]"),
        ("Dictated by Anna Kowalska", "Dictated by [NAME]"),
        ("Mr Okafor slept. Okafor ate; OKAFOR left.", "Mr [NAME] slept. [NAME] ate; [NAME] left."),
        ("Mr Name", "Mr [NAME]"),
        ("Mr May came on 12 May 2025.", "Mr [NAME] came on 12 May 2025."),
    ],
)
def test_names_that_something_announces(text: str, expected: str, redact: Redact) -> None:
    """A title, a label or a relation announces a name; from then on it is known in the whole text."""
    assert redact(text) == expected


@pytest.mark.parametrize(
    "date",
    [
        "12/03/1956",
        "12.3.56",
        "1956-03-12",
        "12 March 1956",
        "12th Mar 1956",
        "12-Mar-1956",
        "March 12, 1956",
        "12 Sept. 1956",
    ],
)
@pytest.mark.parametrize("label", ["DOB: ", "D.O.B. ", "Date of birth: ", "born ", "born on "])
def test_dates_of_birth(label: str, date: str, redact: Redact) -> None:
    """Only a label makes a date one of birth."""
    assert redact(f"{label}{date}, seen") == f"{label}[DATE_OF_BIRTH], seen"
    assert redact(f"seen on {date}.") == f"seen on {date}."


@pytest.mark.parametrize(
    "number",
    [
        "555-0100",
        "(555) 555-0100",
        "555-555-0100",
        "555.555.0100",
        "1-800-555-0199",
        "+1 555 555 0100",
        "+44 20 7946 0018",
        "+44 (0)20 7946 0018",
        "0044 20 7946 0018",
        "020 7946 0018",
        "(0113) 496 0142",
        "07700 900123",
        "07700900123",
        "+33 1 42 68 53 00",
        "+4915112345678",
        "555\u20110100",
    ],
)
def test_phone_numbers(number: str, redact: Redact) -> None:
    """Of several countries, with the hyphens that word processors put in."""
    assert redact(f"ring {number}, then wait") == "ring [PHONE], then wait"
    assert redact(f"his number {number}.") == "his number [PHONE]."
    assert redact(f"his number {number} 120/80") == "his number [PHONE] 120/80"
    assert redact(f"his number {number} 500 mg") == "his number [PHONE] 500 mg"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail amelia.okonkwo+nhs@example.co.uk.", "mail [EMAIL]."),
        ("Email address: a@example.org", "Email address: [EMAIL]"),
        ("MRN: RGH-0048213", "MRN: [MRN]"),
        ("Hospital number 48213", "Hospital number [MRN]"),
        ("SSN 123-45-6789", "SSN [SSN]"),
        ("ssn: 123456789", "ssn: [SSN]"),
        ("id 123-45-6789", "id [SSN]"),
        ("lives at 14 Acacia Avenue, Leeds LS1 4AP, alone", "lives at [ADDRESS], alone"),
        ("12 Elm St, Springfield, IL 62704", "[ADDRESS]"),
        ("221b Baker Street", "[ADDRESS]"),
        ("Address: c/o Rose Cottage, Thorpe; ward 3", "Address: [ADDRESS]; ward 3"),
        ("moved to SW1A 1AA", "moved to [POSTCODE]"),
        ("of Springfield, IL 62704-1234", "of Springfield, IL [POSTCODE]"),
        ("Tel: 5550100 2 tablets", "Tel: [PHONE] 2 tablets"),
    ],
)
def test_other_identifiers(text: str, expected: str, redact: Redact) -> None:
    """Labels stay, so that a reader knows what was there."""
    assert redact(text) == expected


@pytest.mark.parametrize("number", ["943 476 5919", "9434765919", "401 023 2137"])
def test_nhs_numbers_have_a_check_digit(number: str, redact: Redact) -> None:
    """Without a label, the tenth digit (modulus 11) decides; with a label, even a mistyped one goes."""
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)

    assert redact(f"id {number} noted") == "id [NHS_NUMBER] noted"
    assert "[NHS_NUMBER]" not in redact(f"id {wrong} noted")
    assert redact(f"NHS number: {wrong} noted") == "NHS number: [NHS_NUMBER] noted"


@pytest.mark.parametrize(
    "iban",
    [
        "GB82 WEST 1234 5698 7654 32",
        "DE89370400440532013000",
        "AT61 1904 3002 3457 3201",
        "FR14 2004 1010 0505 0001 3M02 606",
        "NO93 8601 1117 947",
        "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
    ],
)
def test_ibans_have_check_digits_and_an_end(iban: str, redact: Redact) -> None:
    """The country's length tells where the number ends, so that the words after it stay."""
    wrong = iban[:2] + str((int(iban[2]) + 1) % 10) + iban[3:]

    assert redact(f"pay {iban} TODAY") == "pay [IBAN] TODAY"
    assert "[IBAN]" not in redact(f"code {wrong} TODAY")
    assert redact(f"IBAN: {wrong} TODAY") == "IBAN: [IBAN] TODAY"


@pytest.mark.parametrize(
    "text",
    [
        "BP 120/80 mmHg, pulse 114, RR 24, temp 38.9 °C, SpO2 91 %, NEWS2 score 9",
        "Bloods 27/02/2025: CRP 212 mg/L, WCC 17.4 x10^9/L, creatinine 131 umol/L, eGFR 38",
        "paracetamol 500-1000 mg as needed, amoxiclav 500/125 mg, insulin 300-1000 units",
        "Vitamin B12 5MG weekly, tobramycin 300 mg/5 ml",
        "platelets 180-400, sodium 135-1450, INR 2.5 on 12-03-2025 and 13.03.2025",
        "Chest X-ray of 2025-02-27; follow-up 11 March 2025, 10:30; ref. 2025-0311",
        "C5-C6 disc, L4/L5, T2DM, G2P1, stage T1N0M0, HbA1c 58 mmol/mol",
        "peak flow 250-300-350, 6MWT 420 m, 1 in 1000, 3 x 10^5",
        "Drug name: Warfarin 5 mg, INR 2.1. Warfarin continues.",
        "Patient was well; the name was unclear. Call bell in reach.",
        "",
        "\r\n\t \r\n",
    ],
)
def test_clinical_values_stay(text: str, redact: Redact) -> None:
    """They are why the text is kept."""
    assert redact(text) == text


def test_twice_is_as_good_as_once(redact: Redact) -> None:
    """Placeholders are no personal data."""
    once = redact("Dr Patel, NHS No: 943 476 5919, SSN 123-45-6789, call 555-0100; Address: 1 High Street")

    assert redact(once) == once


def test_text_must_be_utf_8(load: Callable[[str], ModuleType]) -> None:
    """A guess at the encoding could hide a name; the error says where, and not what."""
    with pytest.raises(ValueError, match=r"^the text must be UTF-8; byte 9 is not$"):
        load("redact").handle("Patient Müller".encode("latin-1"))


@settings(max_examples=150, deadline=None)
@given(text=st.text(alphabet=st.sampled_from("Mr Dr.Aaé12050-+()@: /,'\nGBNHSo٣²½"), max_size=120))
def test_no_text_breaks_it(load: Callable[[str], ModuleType], text: str) -> None:
    """Digits of other scripts, labels without values, half a number: a text comes out, line by line."""
    output = load("redact").handle(text.encode()).decode()

    assert output.count("\n") == text.count("\n")


# Each would make some pattern here go back and forth, were its repetitions without bound.
HOSTILE = [
    "a", "1", "A", " ", "\u00a0", "[", "(", "é", "0 ", "1-", "+1", "+1 ", "012", "0123-", "a@", "a.", "a@a.",
    "A'", "A-", "Mr A", "Mr A ", "Dr Aa ", "Dr van de ", "wife ", "wife A", "Name:", "Name: Aa, ", "1 Aa ",
    "12 Aa Bb Cc ", "1 Aa Street, Aa Bb, Cc Dd ", "address: ;", "tel 1", "Tel: (((", "NHS 1", "MRN a-",
    "DOB: 1 ", "born on ", "Jan ", "123-45-", "943 476 5919 ", "555-0100mg ", "GB82 ", "GB82W1", "IBAN GB82",
    "AT611904300234573201 ",
]  # fmt: skip


@pytest.mark.timeout(30)
@pytest.mark.parametrize("seed", HOSTILE)
def test_time_grows_with_the_length_only(seed: str, redact: Redact) -> None:
    """200 kB of it take about a second; one pattern that backtracks without bound would take hours.

    The limit is generous, for slow machines: it tells linear from quadratic, not fast from slow.
    """
    text = (seed * (200_000 // len(seed.encode()) + 1))[:200_000]

    start = time.process_time()
    redact(text)

    assert time.process_time() - start < 15
