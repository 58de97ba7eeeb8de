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
CONNECTIONS = 512
"""At a time, over HTTP; more are told to come back."""
BODY_WITHIN = timedelta(seconds=10)
"""In which a request has to come, once it has begun; and in which a connection has to begin one."""
READY_FOR = timedelta(seconds=5)
"""So long an answer about being ready is good."""
