"""Files of runbooks, evidence, policies and log lines, read into documents with exact complaints.

It reads and judges files; it stores nothing and never guesses: whatever is not understood is a problem with a place.
`reading.read` is the only entry; the other modules are one step of it each.
"""

from safety_governor.adapters.document_files.findings import File, Problem
from safety_governor.adapters.document_files.reading import read

__all__ = ["File", "Problem", "read"]
