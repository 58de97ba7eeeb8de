"""The tools, as functions whose docstrings are what a planning model reads before it calls them."""

TITLES = {
    "search_runbooks": "Search runbooks",
    "search_evidence": "Search evidence",
    "check_policy_conflicts": "Check policy conflicts",
    "query_live_logs": "Query live logs",
    "ddft_score": "DDFT score",
    "cdct_score": "CDCT score",
    "eect_score": "EECT score",
    "reliability_profile": "Reliability profile",
}
"""What people read of them in lists."""
NAMES = frozenset(TITLES)
"""What they are called. A name that is none of these was made up by a caller."""
