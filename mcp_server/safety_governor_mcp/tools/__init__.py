"""The tools, as functions whose docstrings are what a planning model reads before it calls them."""

NAMES = frozenset(
    {
        "search_runbooks",
        "search_evidence",
        "check_policy_conflicts",
        "query_live_logs",
        "ddft_score",
        "cdct_score",
        "eect_score",
        "reliability_profile",
    }
)
"""What they are called. A name that is none of these was made up by a caller."""
