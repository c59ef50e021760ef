"""Certificate paths: from a leaf to a pinned root."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from enclaved.errors import EvidenceError
from enclaved.verifier.certificate import fingerprint
from enclaved.verifier.certificate_path import check_path
from enclaved.verifier.checks import Checks
from forgery import DAY, Certified, Recipe, authority, certify
from simulation import NOON

ROOT = certify(authority("root"))
MIDDLE = certify(authority("middle", path_length=0), ROOT)
LEAF = certify(Recipe(name="leaf"), MIDDLE)
ROOTS = frozenset({fingerprint(ROOT.certificate)})


def _check(
    *path: Certified, roots: frozenset[bytes] = ROOTS, critical: frozenset[x509.ObjectIdentifier] = frozenset()
) -> Checks:
    checks = Checks()
    check_path([each.certificate for each in path], at=NOON, roots=roots, checks=checks, critical=critical)
    return checks


def _refused(*path: Certified, roots: frozenset[bytes] = ROOTS) -> str:
    with pytest.raises(EvidenceError) as refused:
        _check(*path, roots=roots)
    assert refused.value.code == "not_authentic"
    return refused.value.step


def test_good_path_is_accepted_and_every_look_is_recorded() -> None:
    """A verdict lists what was looked at, so a pass leaves a record as well."""
    checks = _check(LEAF, MIDDLE, ROOT)

    assert all(check.ok for check in checks.done)
    assert len(checks.done) > 6


def test_empty_path_is_refused() -> None:
    """Nothing is signed by nothing."""
    assert _refused() == "chain: length"


def test_over_long_path_is_refused() -> None:
    """A stranger must not make us verify signatures without end."""
    path = [ROOT]
    for number in range(8):
        path.insert(0, certify(authority(f"link {number}"), path[0]))

    assert _refused(*path) == "chain: length"


def test_root_of_the_same_name_is_refused() -> None:
    """Anybody can make a root with the vendor's name; the fingerprint tells."""
    namesake = certify(authority("root"))
    leaf = certify(Recipe(name="leaf"), namesake)

    assert _refused(leaf, namesake) == "chain: root"


def test_no_pinned_root_accepts_nothing() -> None:
    """An empty table of roots is not a wildcard."""
    assert _refused(LEAF, MIDDLE, ROOT, roots=frozenset()) == "chain: root"


@pytest.mark.parametrize("turned", [{"end": NOON - DAY / 2}, {"start": NOON + DAY / 2}], ids=["expired", "early"])
@pytest.mark.parametrize("link", [0, 1, 2], ids=["leaf", "middle", "root"])
def test_certificate_out_of_its_time_is_refused_at_each_link(link: int, turned: dict[str, object]) -> None:
    """A key that is no longer vouched for may since have been lost."""
    root = certify(authority("root", **(turned if link == 2 else {})))
    middle = certify(authority("middle", **(turned if link == 1 else {})), root)
    leaf = certify(Recipe(name="leaf", **(turned if link == 0 else {})), middle)

    step = _refused(leaf, middle, root, roots=frozenset({fingerprint(root.certificate)}))

    assert step == f"chain: validity of {['leaf', 'middle', 'root'][link]}"


@pytest.mark.parametrize(
    "turned",
    [{"is_authority": False}, {"may_certify": False}, {"has_constraints": False}, {"has_usage": False}],
    ids=["no authority", "may not certify", "no constraints", "no usage"],
)
def test_issuer_that_may_not_issue_is_refused(turned: dict[str, object]) -> None:
    """A leaf's key must not vouch for other keys."""
    middle = certify(authority("middle", **turned), ROOT)
    leaf = certify(Recipe(name="leaf"), middle)

    assert _refused(leaf, middle, ROOT) == "chain: middle may issue"


def test_path_below_its_length_constraint_is_refused() -> None:
    """An intermediate of path length 0 must not make further intermediates."""
    below = certify(authority("below"), MIDDLE)
    leaf = certify(Recipe(name="leaf"), below)

    assert _refused(leaf, below, MIDDLE, ROOT) == "chain: middle may issue"


def test_unknown_critical_extension_is_refused() -> None:
    """Critical means: whoever does not understand this must not go on."""
    leaf = certify(Recipe(name="leaf", unknown_critical=True), MIDDLE)

    assert _refused(leaf, MIDDLE, ROOT) == "chain: critical extensions of leaf"


def test_critical_extension_that_the_format_understands_is_accepted() -> None:
    """A format that checks an extension of its vendor's says so."""
    leaf = certify(Recipe(name="leaf", unknown_critical=True), MIDDLE)

    _check(leaf, MIDDLE, ROOT, critical=frozenset({x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")}))


def test_signature_by_a_namesake_of_the_issuer_is_refused() -> None:
    """The names fit; only the signature shows that another key signed."""
    namesake = certify(authority("middle"), ROOT)
    leaf = certify(Recipe(name="leaf"), namesake)

    assert _refused(leaf, MIDDLE, ROOT) == "chain: signature of leaf"


def test_path_out_of_order_is_refused() -> None:
    """Each is signed by the next, or it is no path."""
    assert _refused(MIDDLE, LEAF, ROOT) == "chain: leaf may issue"


def test_leaf_of_another_issuer_is_refused() -> None:
    """A certificate must name the issuer that it is verified with."""
    assert _refused(certify(Recipe(name="leaf"), ROOT), MIDDLE, ROOT) == "chain: signature of leaf"


def test_weak_hash_is_refused() -> None:
    """Collisions in the hash would let one certificate stand in for another."""
    weak = certify(Recipe(name="leaf", digest=hashes.SHA224()), MIDDLE)

    assert _refused(weak, MIDDLE, ROOT) == "chain: signature of leaf"
