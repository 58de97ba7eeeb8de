"""What must happen to each example incident: the one table that the demo and the tests of the examples hold reality against."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
WORLD = ROOT.parent / "shared" / "data" / "runbooks"
"""Runbooks of the world; where they are present, they are loaded besides our own and must change no decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One incident's way, from the decision to what was touched."""

    name: str
    """Of the incident and of its file."""
    decision: str
    requires: str
    """What a person must say: NotNeeded, APPROVE, FORCE_OVERRIDE or Impossible."""
    phase: str
    """Where it ends once the people of the demo have had their say."""
    reasons: tuple[str, ...] | None = ()
    """The checks that block. None: not held against anything, because nothing is proposed that a check could be about."""
    namespace: str = "shop"
    deployment: str
    effects: int = 0
    """How often its deployment is changed for it, as the audit log counts."""
    verified: str = "Verified"
    """How what was done turned out, if anything was done."""
    held: str = ""
    """What holds it back at the end of the demo; empty when nothing does."""
    late: bool = False
    """Whether it is reported after the others."""
    says: str = ""
    """The word that ended the waiting, and whose: `APPROVE by bob`."""
    refused: tuple[str, ...] = ()
    """The words that were refused before, and whose."""

    @property
    def manifest(self) -> Path:
        """Its file, relative to the root of the repository."""
        return Path("examples", "incidents", f"{self.name}.yaml")

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


EXPECTED = (
    Expectation(name="clean", decision="execute", requires="NotNeeded", phase="Resolved", deployment="search-api", effects=1),
    Expectation(
        name="contradicted",
        decision="block_and_escalate",
        requires="APPROVE",
        reasons=("ContradictionsReached",),
        phase="Resolved",
        deployment="checkout",
        effects=1,
        says="APPROVE by bob",
    ),
    Expectation(
        name="policy-conflict",
        decision="block_and_escalate",
        requires="APPROVE",
        reasons=("PolicyForbidsAction",),
        phase="Rejected",
        deployment="catalog",
        says="REJECT by carol",
    ),
    Expectation(
        name="fabricated-authority",
        decision="block_and_escalate",
        requires="FORCE_OVERRIDE",
        reasons=("AuthorityFabricated",),
        phase="Rejected",
        deployment="payments",
        says="REJECT by bob",
    ),
    Expectation(
        name="inc-9999",
        decision="block_and_escalate",
        requires="FORCE_OVERRIDE",
        reasons=("PolicyForbidsAction", "SeverityCritical"),
        phase="Resolved",
        deployment="payments",
        effects=1,
        says="FORCE_OVERRIDE by carol",
        refused=("APPROVE by bob",),
    ),
    Expectation(
        name="regressed",
        decision="execute",
        requires="NotNeeded",
        phase="RolledBack",
        deployment="cart",
        effects=2,
        verified="Regressed",
    ),
    Expectation(
        name="frozen",
        namespace="bookkeeping",
        decision="execute",
        requires="NotNeeded",
        phase="Gated",
        deployment="invoices",
        held="closing-of-the-books",
    ),
    Expectation(
        name="over-budget",
        decision="execute",
        requires="NotNeeded",
        phase="Gated",
        deployment="search-api",
        held="1 of 1 actions on Deployment/search-api in the last hour",
        late=True,
    ),
    Expectation(name="nothing-known", decision="hand_over", requires="Impossible", reasons=None, phase="HandedOver", deployment="catalog"),
    Expectation(name="manual-only", decision="hand_over", requires="Impossible", phase="HandedOver", deployment="payments"),
    Expectation(name="observe-only", decision="execute", requires="NotNeeded", phase="Observed", deployment="catalog"),
    Expectation(
        name="not-opted-in",
        namespace="shop-staging",
        decision="block_and_escalate",
        requires="Impossible",
        reasons=("TargetProtected",),
        phase="Blocked",
        deployment="search-api",
    ),
)

DEPLOYMENTS = (
    ("shop", "payments"),
    ("shop", "checkout"),
    ("shop", "catalog"),
    ("shop", "search-api"),
    ("shop", "cart"),
    ("bookkeeping", "invoices"),
    ("shop-staging", "search-api"),
)
"""Everything in examples/cluster that could be touched."""

BEFORE = {("shop", "cart"): 2}
"""How often the stage itself has changed a Deployment, to give it a past."""
