"""The embedded knowledge store: one SQLite file for the truth, one tantivy index in memory for the words.

It exists so that the governor works without a search cluster. SQLite alone decides what is known; the index is derived,
belongs to one process and is rebuilt whenever the file says that somebody loaded something else. Nothing in here
decides about incidents, and nothing outside `store` is meant to be used by others.
"""

from safety_governor.adapters.embedded.store import EmbeddedKnowledge

__all__ = ["EmbeddedKnowledge"]
