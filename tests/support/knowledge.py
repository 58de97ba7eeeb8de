"""Documents in a store, for tests."""

from pathlib import Path

from safety_governor import bootstrap


def load(store: Path, *paths: Path) -> None:
    """Load files into a store, as the command does."""
    kept = bootstrap.open_store(store, create=True)
    files = bootstrap.reader(kept)(paths)
    assert not [problem for file in files for problem in file.problems]
    kept.replace_documents([document for file in files for document in file.documents])
    kept.close()
