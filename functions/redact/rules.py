"""What personal data looks like.

First the pieces, then the check digits of numbers that have some, then the rules
put together from them. Every repetition has an upper bound or is possessive
(`++`), and every pattern starts at a word or a label: no text can make a pattern
try the same characters over and over.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

GAP = r"[ \t\u00a0]"
HYPHEN = r"[-\u2010\u2011\u2013]"  # also those that word processors put in
SEP = rf"(?:{GAP}|{HYPHEN}|\.)"
IS = rf"(?:{GAP}{{0,3}}[:#=])?{GAP}{{0,3}}"  # between a label and its value
# What follows a number that is no phone number: "500-1000 mg", "120/80", "37.2", "95%".
NO_VALUE = rf"(?![\d/%]|[.,]\d|{GAP}?(?i:mg|mcg|µg|ug|g|kg|ml|l|units?|iu|mmol|mmhg|kcal|bpm|cells)\b)"

MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
DATE = (
    rf"(?:\d{{1,4}}[./ \-]\d{{1,2}}[./ \-]\d{{1,4}}"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?[ \-]{MONTH},?[ \-]\d{{2,4}}|{MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})"
)

UPPER, LETTER = r"[A-ZÀ-ÖØ-ÞĀ-Ž]", r"[^\W\d_]"
ABBREVIATION = r"(?:BP|HR|RR|ECG|EEG|CT|MRI|MRSA|CXR|GCS|COPD|CKD|DOB|MRN|NHS|SSN|IBAN|GP|ED|ICU|IV|NEWS2?)"
NO_NAME = rf"(?!(?:{ABBREVIATION}|Mr|Mrs|Ms|Mx|Miss|Dr|Prof|Professor)\b)"
WORD = rf"{NO_NAME}(?:{UPPER}\.|{UPPER}{LETTER}{{0,30}}+(?:['\u2019\-]{UPPER}{LETTER}{{1,30}}+){{0,2}})(?!{GAP}?:)"
PARTICLES = rf"(?:(?:van|von|de|del|der|den|di|da|dos|la|le|ten|ter|bin|al|el){GAP}){{0,2}}"
NAME = rf"{PARTICLES}{WORD}(?:,?{GAP}{PARTICLES}{WORD}){{0,3}}"
TITLE = r"(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sir|Dame|Lord|Lady|Rev|Nurse|Sister|Herr|Frau|Mme|Sr|Sra)"
FIELD = (
    r"(?i:(?<!drug )(?<!brand )(?<!product )(?<!medication )(?:(?:patient|full|first|last) ?)?name|patient"
    r"|surname|forenames?|next of kin|nok|consultant|referrer|gp|carer|contact|clinician|physician|surgeon|signed)"
)
ANNOUNCED = (
    r"(?:(?:wife|husband|son|daughter|mother|father|brother|sister|partner|carer|niece|nephew|neighbou?r),?"
    r"|(?:[Ss]een|[Rr]eviewed|[Rr]eferred|[Dd]ictated|[Ss]igned|[Aa]ccompanied) by)"
)

STREET = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Close|Court|Way|Place|Square|Terrace|Crescent|Gardens"
    r"|Boulevard|Blvd)"
)
CAPITAL = rf"{UPPER}[\w'\u2019\-]{{1,30}}+"
TOWN = rf"{CAPITAL}(?: {CAPITAL}){{0,2}}"
POSTCODE = r"(?:[A-Z]{1,2}\d[A-Z\d]? ?\d[ABD-HJLNP-UW-Z]{2}|[A-Z]{2} \d{5}(?:-\d{4})?)"
PHONE_LABEL = (
    rf"\b(?i:tel|telephone|phone|mobile|mob|cell ?phone|fax"
    rf"|(?:call|ring|text)(?: (?:me|us|him|her|them))?(?: on| at)?)\.?{IS}"
)
# The length of an IBAN belongs to its country (ISO 13616 registry): it tells where the number ends.
IBAN_LENGTHS = {
    15: "NO", 16: "BE", 18: "DK|FI|FK|FO|GL|NL|SD", 19: "MK|SI", 20: "AT|BA|EE|KZ|LT|LU|MN|XK", 21: "CH|HR|LI|LV",
    22: "BG|BH|CR|DE|GB|GE|IE|ME|RS|VA", 23: "AE|GI|IL|IQ|OM|SO|TL", 24: "AD|CZ|ES|MD|PK|RO|SA|SE|SK|TN|VG",
    25: "LY|PT|ST", 26: "IS|TR", 27: "BI|DJ|FR|GR|IT|MC|MR|SM", 28: "AL|AZ|BY|CY|DO|GT|HN|HU|LB|NI|PL|SV",
    29: "BR|EG|PS|QA|UA", 30: "JO|KW|MU|YE", 31: "MT|SC", 32: "LC", 33: "RU",
}  # fmt: skip
IBAN = r"[A-Z]{2}\d{2}(?: ?[A-Z\d]){11,30}"
IBAN_BY_COUNTRY = "|".join(rf"(?:{who})\d{{2}}(?: ?[A-Z\d]){{{n - 4}}}" for n, who in IBAN_LENGTHS.items())


def is_iban(text: str) -> bool:
    """Check the two digits after the country (ISO 7064, MOD 97-10)."""
    compact = text.replace(" ", "")
    return int("".join(str(int(sign, 36)) for sign in compact[4:] + compact[:4])) % 97 == 1


def is_nhs_number(text: str) -> bool:
    """Check the tenth digit of a number of the National Health Service (modulus 11)."""
    digits = [int(sign) for sign in text if sign.isdigit()]
    check = -sum(weight * digit for weight, digit in zip(range(10, 1, -1), digits, strict=False)) % 11
    return len(digits) == 10 and check == digits[9]


class Rule(NamedTuple):
    """What `value` matches becomes `[placeholder]`, if the check accepts it; a label before it stays."""

    placeholder: str
    pattern: re.Pattern[str]
    accepts: Callable[[str], bool] = lambda _: True


def rule(placeholder: str, value: str, *, after: str = "", accepts: Callable[[str], bool] = lambda _: True) -> Rule:
    return Rule(placeholder, re.compile(rf"{after}(?P<value>{value})"), accepts)


# In this order: what carries a check digit or a label goes first, so that looser rules can't take a part of it.
RULES = [
    rule("EMAIL", r"(?<![\w.+\-])[\w.+\-]{1,64}+@[\w\-]{1,63}+(?:\.[\w\-]{1,63}+){1,5}"),
    rule("IBAN", rf"(?:{IBAN_BY_COUNTRY}|{IBAN})\b", after=rf"\b(?i:IBAN){IS}"),
    rule("IBAN", rf"\b(?:{IBAN_BY_COUNTRY})\b", accepts=is_iban),
    rule("NHS_NUMBER", rf"\d(?:{SEP}?\d){{9}}\b", after=rf"\b(?i:NHS(?: (?:number|no))?\.?){IS}"),
    rule("NHS_NUMBER", rf"(?<![\d.+\-])\d{{3}}{GAP}?\d{{3}}{GAP}?\d{{4}}\b(?!\.\d)", accepts=is_nhs_number),
    rule(
        "MRN",
        r"[A-Za-z]{0,3}[\-/]?\d[\dA-Z/\-]{2,14}+",
        after=rf"\b(?i:MRN|(?:medical record|hospital|patient|unit|chart) (?:number|no\.?|id)){IS}",
    ),
    rule("SSN", r"\d{3}[ \-]?\d{2}[ \-]?\d{4}\b", after=rf"\b(?i:SSN|social security (?:number|no\.?)){IS}"),
    rule("SSN", rf"(?<![\d\-])(?!000|666|9)\d{{3}}{HYPHEN}(?!00)\d{{2}}{HYPHEN}(?!0000)\d{{4}}(?![\d\-])"),
    rule("DATE_OF_BIRTH", DATE, after=rf"\b(?i:DOB|D\.O\.B\.?|date of birth|birth ?date|born(?: on)?){IS}"),
    rule("ADDRESS", r"[^\s;\[][^\r\n;]{1,200}", after=rf"\b(?i:address){GAP}{{0,3}}:{GAP}{{0,3}}"),
    rule(
        "ADDRESS",
        rf"\b\d{{1,5}}[A-Za-z]? (?:{CAPITAL} ){{1,3}}{STREET}\b(?:(?:,? {TOWN}){{0,2}},? {POSTCODE}\b)?",
    ),
    rule("POSTCODE", r"\b[A-Z]{1,2}\d[A-Z\d]? ?\d[ABD-HJLNP-UW-Z]{2}\b"),  # United Kingdom
    rule("POSTCODE", r"\d{5}(?:-\d{4})?\b", after=r", [A-Z]{2} "),  # United States
    rule(
        "PHONE",
        rf"[+(]?\d{{1,12}}+(?:[() .\-\u00a0]{{1,3}}\d{{2,8}}+){{0,5}}{NO_VALUE}",
        after=PHONE_LABEL,
        accepts=lambda number: sum(sign.isdigit() for sign in number) >= 6,
    ),
    rule("PHONE", rf"(?<!\w)(?:\+|00)[1-9]\d{{6,14}}+{NO_VALUE}"),
    rule(
        "PHONE",
        rf"(?<!\w)(?:\+|00)[1-9]\d{{0,2}}+(?:{GAP}?\(0\))?{SEP}?\(?\d{{1,8}}+\)?(?:{SEP}\d{{2,8}}+){{1,4}}{NO_VALUE}",
    ),
    rule("PHONE", rf"(?<![\w.+\-])\(?0\d{{2,4}}\)?{SEP}?\d{{3,4}}{SEP}?\d{{3,4}}{NO_VALUE}"),
    rule(
        "PHONE", rf"(?<![\w.+\-])(?:1{SEP})?(?:\([2-9]\d{{2}}\){GAP}?|[2-9]\d{{2}}{SEP})\d{{3}}{SEP}\d{{4}}{NO_VALUE}"
    ),
    rule("PHONE", rf"(?<![\w.,/+\-])[2-9]\d{{2}}{HYPHEN}\d{{4}}{NO_VALUE}"),
]
NAMES = [
    rule("NAME", NAME, after=rf"\b{TITLE}\b\.?{GAP}"),
    rule("NAME", NAME, after=rf"\b{FIELD}{GAP}{{0,3}}:{GAP}{{0,3}}(?:{TITLE}\b\.?{GAP})?"),
    rule("NAME", NAME, after=rf"\b{ANNOUNCED}{GAP}"),
]
