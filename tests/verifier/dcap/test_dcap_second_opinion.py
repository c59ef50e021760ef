"""The second opinion: whatever `dcap-qvl` does, a quote is accepted only if it agrees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import dcap_qvl
import pytest
from dcap_forgery import Forgery, evidence
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.dcap import second_opinion
from simulation import NOON

FORGERIES = [Forgery(), Forgery(version=5, body_type=3), Forgery(tee="sgx", version=3)]
IDS = ["TD 1.0", "TD 1.5", "SGX"]


class PanicException(BaseException):
    """What a panic in Rust becomes."""


def _refused(forgery: Forgery, monkeypatch: pytest.MonkeyPatch, answer: Callable[..., object]) -> str:
    made, roots = evidence(forgery)
    library = SimpleNamespace(verify_with_root_ca=answer, QuoteCollateralV3=dcap_qvl.QuoteCollateralV3)
    monkeypatch.setattr(second_opinion, "dcap_qvl", library)
    with pytest.raises(EvidenceError) as refused:
        authenticate(made, at=NOON, roots=roots, checks=Checks())
    assert refused.value.code == "not_authentic"
    return refused.value.step


def _answer(**turned: object) -> Callable[..., object]:
    def verify(*arguments: object) -> object:
        found = dcap_qvl.verify_with_root_ca(*arguments)
        fields = {"status": found.status, "advisory_ids": found.advisory_ids, "to_json": found.to_json} | turned
        return SimpleNamespace(**fields)

    return verify


@pytest.mark.parametrize("forgery", FORGERIES, ids=IDS)
def test_other_status_is_refused(forgery: Forgery, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the two is wrong, and nobody knows which."""
    answer = _answer(status="SWHardeningNeeded")

    assert _refused(forgery, monkeypatch, answer) == "second opinion (dcap-qvl): status"


@pytest.mark.parametrize("forgery", FORGERIES, ids=IDS)
def test_other_advisories_are_refused(forgery: Forgery, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy decides on them."""
    answer = _answer(advisory_ids=["INTEL-SA-1"])

    assert _refused(forgery, monkeypatch, answer) == "second opinion (dcap-qvl): advisories"


@pytest.mark.parametrize("name", ["mr_td", "rtmr0", "rtmr3", "report_data", "td_attributes"])
def test_other_measurement_of_a_domain_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers have to see the same report."""
    made, _ = evidence(Forgery())
    wanted = dcap_qvl.parse_quote(made.report).report
    value = getattr(wanted, name.replace("rtmr", "rt_mr")).hex()

    def verify(*arguments: object) -> object:
        found = dcap_qvl.verify_with_root_ca(*arguments)
        text = found.to_json().replace(value, "00" * (len(value) // 2))
        return SimpleNamespace(status=found.status, advisory_ids=found.advisory_ids, to_json=lambda: text)

    assert _refused(Forgery(), monkeypatch, verify) == f"second opinion (dcap-qvl): {name}"


def test_other_measurement_of_an_enclave_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with trust domains."""

    def verify(*arguments: object) -> object:
        found = dcap_qvl.verify_with_root_ca(*arguments)
        text = found.to_json().replace("06" * 32, "05" * 32)
        return SimpleNamespace(status=found.status, advisory_ids=found.advisory_ids, to_json=lambda: text)

    assert _refused(FORGERIES[2], monkeypatch, verify) == "second opinion (dcap-qvl): mr_enclave"


@pytest.mark.parametrize(
    "raised", [ValueError("no"), TypeError("no"), PanicException("index out of bounds")], ids=["error", "type", "panic"]
)
def test_error_and_panic_of_the_library_are_ours(raised: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """A panic is no `Exception`, and would end whatever has called us."""

    def verify(*_: object) -> object:
        raise raised

    assert _refused(Forgery(), monkeypatch, verify) == "second opinion (dcap-qvl)"


@pytest.mark.parametrize("text", ["", "{}", '{"report": {}}', '{"report": {"TD10": 1}}', '{"report": {"TD10": {}}}'])
def test_answer_of_another_shape_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later version of the library may answer otherwise."""
    assert _refused(Forgery(), monkeypatch, _answer(to_json=lambda: text)).startswith("second opinion")


def test_who_stops_the_program_is_not_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interruption is not the library's error."""

    def verify(*_: object) -> object:
        raise KeyboardInterrupt

    made, roots = evidence(Forgery())
    library = SimpleNamespace(verify_with_root_ca=verify, QuoteCollateralV3=dcap_qvl.QuoteCollateralV3)
    monkeypatch.setattr(second_opinion, "dcap_qvl", library)
    with pytest.raises(KeyboardInterrupt):
        authenticate(made, at=NOON, roots=roots, checks=Checks())


@pytest.mark.parametrize(
    ("forgery", "reason"),
    [
        (Forgery(body={"td_attributes": (1 << 28 | 1).to_bytes(8, "little")}), "debug"),
        (Forgery(body={"td_attributes": (1 << 28 | 1 << 29).to_bytes(8, "little")}), "migratable"),
        (Forgery(body={"td_attributes": (1 << 28 | 1 << 63).to_bytes(8, "little")}), "perfmon"),
        (Forgery(body={"td_attributes": bytes(8)}), "no sept_ve_disable"),
        (Forgery(body={"td_attributes": (1 << 28 | 1 << 50).to_bytes(8, "little")}), "unknown attributes"),
        (replace(FORGERIES[1], body={"mr_service_td": b"\x01" * 48}), "mr_service_td"),
        (replace(FORGERIES[2], body={"attributes": b"\x07" + bytes(15)}), "debug"),
    ],
    ids=["debug", "migratable", "perfmon", "exceptions", "unknown", "service TD", "enclave"],
)
def test_library_is_not_asked_about_what_it_refuses_for_its_attributes(forgery: Forgery, reason: str) -> None:
    """Such quotes are authentic, and the policy's to refuse; that they were judged once only, is a claim."""
    made, roots = evidence(forgery)
    claims = authenticate(made, at=NOON, roots=roots, checks=Checks())

    assert claims.vendor["second_opinion"] == f"not asked: {reason}"
