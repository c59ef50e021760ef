"""Levels, statuses, and how those of a platform's parts make one; the second opinion judges them too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from dcap_forgery import Forgery, evidence
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.dcap.tcb_status import TcbStatus, TcbVerdict, combine, relaunch
from simulation import NOON

TDX = Forgery()
TD_1_5 = Forgery(version=5, body_type=3)
SGX = Forgery(tee="sgx", version=3)
_OLD = bytes([4, 1, 3]) + bytes(13)
_NEW = bytes([5, 1, 3]) + bytes(13)
_Turn = Callable[[dict[str, Any]], dict[str, Any]]


def _judge(forgery: Forgery) -> Claims:
    made, roots = evidence(forgery)
    return authenticate(made, at=NOON, roots=roots, checks=Checks())


def _refused(forgery: Forgery) -> EvidenceError:
    with pytest.raises(EvidenceError) as refused:
        _judge(forgery)
    return refused.value


def _platform(status: str, *advisories: str) -> _Turn:
    def turn(document: dict[str, Any]) -> dict[str, Any]:
        document["tcbLevels"][0] |= {"tcbStatus": status, "advisoryIDs": list(advisories)}
        return document

    return turn


def _module(status: str, *advisories: str) -> _Turn:
    """Module minor version 5 is up to date, and 4 has the status."""

    def turn(document: dict[str, Any]) -> dict[str, Any]:
        older = {"tcb": {"isvsvn": 4}, "tcbDate": "x", "tcbStatus": status, "advisoryIDs": list(advisories)}
        newer = {"tcb": {"isvsvn": 5}, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": "UpToDate"}
        document["tdxModuleIdentities"][0]["tcbLevels"] = [newer, older | {"tcbDate": newer["tcbDate"]}]
        return document

    return turn


def _both(*turns: _Turn) -> _Turn:
    def turn(document: dict[str, Any]) -> dict[str, Any]:
        for each in turns:
            document = each(document)
        return document

    return turn


@pytest.mark.parametrize("status", [each.value for each in TcbStatus if "Relaunch" not in each and each != "Revoked"])
@pytest.mark.parametrize("forgery", [TDX, SGX], ids=["TDX", "SGX"])
def test_platforms_status_and_advisories_are_claims(forgery: Forgery, status: str) -> None:
    """Every status but one is authentic; which is good enough, is the policy's."""
    claims = _judge(replace(forgery, tcb_info=_platform(status, "INTEL-SA-2", "INTEL-SA-1")))

    assert claims.tcb_status == status
    assert claims.vendor["advisories"] == ("INTEL-SA-1", "INTEL-SA-2")
    assert claims.vendor["second_opinion"] == "agrees"


@pytest.mark.parametrize(
    "forgery",
    [
        replace(TDX, tcb_info=_platform("Revoked")),
        replace(SGX, tcb_info=_platform("Revoked")),
        replace(TDX, tcb_info=_module("Revoked"), body={"tee_tcb_svn": _OLD}),
        replace(TDX, qe_identity=_platform("Revoked")),
        replace(TD_1_5, tcb_info=_module("Revoked"), body={"tee_tcb_svn_2": _OLD}),
    ],
    ids=["platform", "enclave's platform", "module", "quoting enclave", "module of now"],
)
def test_revoked_is_not_authentic(forgery: Forgery) -> None:
    """Its keys may be anybody's."""
    refused = _refused(forgery)

    assert (refused.code, refused.step) == ("not_authentic", "tcb_status")


@pytest.mark.parametrize(
    ("platform", "together"),
    [
        ("UpToDate", "OutOfDate"),
        ("SWHardeningNeeded", "OutOfDate"),
        ("ConfigurationNeeded", "OutOfDateConfigurationNeeded"),
        ("ConfigurationAndSWHardeningNeeded", "OutOfDateConfigurationNeeded"),
        ("OutOfDate", "OutOfDate"),
        ("OutOfDateConfigurationNeeded", "OutOfDateConfigurationNeeded"),
    ],
)
@pytest.mark.parametrize("part", ["module", "quoting enclave"])
def test_part_that_is_out_of_date_makes_all_of_it_so(platform: str, together: str, part: str) -> None:
    """And its advisories are the platform's."""
    if part == "module":
        tcb_info = _both(_platform(platform, "INTEL-SA-1"), _module("OutOfDate", "INTEL-SA-2"))
        claims = _judge(replace(TDX, tcb_info=tcb_info, body={"tee_tcb_svn": _OLD}))
    else:
        qe_identity = _platform("OutOfDate", "INTEL-SA-2")
        claims = _judge(replace(TDX, tcb_info=_platform(platform, "INTEL-SA-1"), qe_identity=qe_identity))

    assert claims.tcb_status == together
    assert claims.vendor["advisories"] == ("INTEL-SA-1", "INTEL-SA-2")
    assert claims.vendor["second_opinion"] == "agrees"


@pytest.mark.parametrize(
    ("platform", "together"),
    [
        ("UpToDate", "TDRelaunchAdvised"),
        ("SWHardeningNeeded", "TDRelaunchAdvised"),
        ("ConfigurationNeeded", "TDRelaunchAdvisedConfigurationNeeded"),
        ("ConfigurationAndSWHardeningNeeded", "TDRelaunchAdvisedConfigurationNeeded"),
        ("OutOfDate", "OutOfDate"),
        ("OutOfDateConfigurationNeeded", "OutOfDateConfigurationNeeded"),
    ],
)
def test_domain_below_which_the_module_was_renewed_is_told_to_relaunch(platform: str, together: str) -> None:
    """Only where what runs now is good: a platform that is out of date stays so."""
    tcb_info = _both(_platform(platform), _module("OutOfDate", "INTEL-SA-2"))
    claims = _judge(replace(TD_1_5, tcb_info=tcb_info, body={"tee_tcb_svn": _OLD, "tee_tcb_svn_2": _NEW}))

    assert claims.tcb_status == together
    assert claims.vendor["second_opinion"] == "agrees"


def test_domain_of_version_1_0_cannot_be_told_to_relaunch() -> None:
    """It does not say what runs now."""
    forgery = replace(TDX, tcb_info=_module("OutOfDate"), body={"tee_tcb_svn": _OLD})

    assert _judge(forgery).tcb_status == "OutOfDate"


@pytest.mark.parametrize("index", range(16))
@pytest.mark.parametrize("name", ["sgxtcbcomponents", "tdxtcbcomponents"])
def test_each_component_counts(name: str, index: int) -> None:
    """One that is too low reaches no level; the first two of TDX are the module's, which has its own."""

    def turn(document: dict[str, Any]) -> dict[str, Any]:
        component = document["tcbLevels"][0]["tcb"][name][index]
        component["svn"] += 1
        return document

    forgery = replace(TDX, tcb_info=turn)
    if name == "tdxtcbcomponents" and index < 2:
        assert _judge(forgery).vendor["second_opinion"] == "agrees"
    else:
        assert _refused(forgery).step == "tcb level"


def test_svn_of_the_provisioning_enclave_counts() -> None:
    """It is a component like the others."""
    assert _refused(replace(TDX, pce_svn=12)).step == "tcb level"


def test_first_level_that_is_reached_is_the_platforms() -> None:
    """Levels are sorted, newest first: a lower one must not be preferred."""

    def turn(document: dict[str, Any]) -> dict[str, Any]:
        level = document["tcbLevels"][0]
        document["tcbLevels"] = [level, level | {"tcbStatus": "OutOfDate"}]
        return document

    assert _judge(replace(TDX, tcb_info=turn)).tcb_status == "UpToDate"


def test_no_level_is_not_out_of_date() -> None:
    """Nothing is known of such a platform, so nothing is said of it."""
    assert _refused(replace(TDX, tcb_info=lambda document: document | {"tcbLevels": []})).step == "tcb level"


def test_tcb_information_of_version_2_is_read_by_our_code_alone() -> None:
    """The second opinion cannot read it, and a claim says so."""

    def turn(document: dict[str, Any]) -> dict[str, Any]:
        tcb = document["tcbLevels"][0]["tcb"]
        svns = {f"sgxtcbcomp{n:02}svn": each["svn"] for n, each in enumerate(tcb["sgxtcbcomponents"], start=1)}
        document["tcbLevels"][0]["tcb"] = svns | {"pcesvn": tcb["pcesvn"]}
        del document["id"]
        return document | {"version": 2}

    claims = _judge(replace(SGX, tcb_info=turn))

    assert claims.tcb_status == "UpToDate"
    assert claims.vendor["second_opinion"] == "not asked: TCB information of version 2"


_MALFORMED: dict[str, Any] = {
    "no JSON": b"{nothing}",
    "not UTF-8": b'{"\xff": 1}',
    "no family": lambda document: {name: value for name, value in document.items() if name != "fmspc"},
    "a family too short": lambda document: document | {"fmspc": "90c0"},
    "a family with spaces": lambda document: document | {"fmspc": "90 c06f00 0"},
    "another type": lambda document: document | {"tcbType": 1},
    "another kind": lambda document: document | {"id": "SEV"},
    "no date": lambda document: document | {"issueDate": "today"},
    "unknown status": _platform("Fine"),
    "module of an unknown status": _module("SWHardeningNeeded"),
    "15 components": lambda document: (document["tcbLevels"][0]["tcb"]["sgxtcbcomponents"].pop(), document)[1],
    "a component of 256": lambda document: (
        document["tcbLevels"][0]["tcb"]["sgxtcbcomponents"][0].update(svn=256),
        document,
    )[1],
    "a truth value for a number": lambda document: (document["tcbLevels"][0]["tcb"].update(pcesvn=True), document)[1],
    "a module twice": lambda document: document | {"tdxModuleIdentities": document["tdxModuleIdentities"] * 2},
    "a module of another name": lambda document: (
        document["tdxModuleIdentities"][0].update(id="TD_01"),
        document,
    )[1],
}


@pytest.mark.parametrize("name", _MALFORMED)
def test_tcb_information_of_another_shape_is_unreadable(name: str) -> None:
    """Signed or not: what is not understood decides nothing."""
    turn = _MALFORMED[name]
    refused = _refused(replace(TDX, tcb_info=(lambda _: turn) if isinstance(turn, bytes) else turn))

    assert (refused.code, refused.step) == ("unreadable", "tcb_info.json")


@pytest.mark.parametrize(
    "turn",
    [
        {"mrsigner": "08"},
        {"miscselect": "0000000g"},
        {"attributesMask": "FF"},
        {"isvprodid": "2"},
        {"tcbLevels": [{"tcb": {"isvsvn": 4}, "tcbStatus": "ConfigurationNeeded", "tcbDate": ""}]},
    ],
    ids=str,
)
def test_identity_of_another_shape_is_unreadable(turn: dict[str, object]) -> None:
    """As with TCB information."""
    refused = _refused(replace(TDX, qe_identity=lambda document: document | turn))

    assert (refused.code, refused.step) == ("unreadable", "qe_identity.json")


def test_good_part_never_makes_a_platform_better() -> None:
    """Over all statuses of a platform, in the two functions alone."""
    good = TcbVerdict(status=TcbStatus.UP_TO_DATE, advisories=())
    for status in TcbStatus:
        platform = TcbVerdict(status=status, advisories=("INTEL-SA-1",))
        assert combine(platform, (good, good)) == platform
        assert relaunch(good, platform).status in (TcbStatus.UP_TO_DATE, TcbStatus.REVOKED)
