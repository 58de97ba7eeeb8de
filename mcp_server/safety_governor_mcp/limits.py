"""How much of everything is taken and given. A model that asks for more is told so in a sentence that it can act on."""

from datetime import timedelta

QUERY = 1000
"""Characters of a search."""
HITS = 10
"""Documents that one search gives at most."""
TEXT = 24_000
"""Characters of documents in one answer, all together; a context is no place for a library."""
WINDOW = timedelta(hours=24)
"""So much of the live logs is summed up at most."""
PATIENCE = timedelta(seconds=12)
"""A tool that takes longer answers that it is unavailable; callers give up after 15 seconds or more."""
BODY = 256 * 1024
"""Bytes of a request."""
