"""Folders of control planes, and of those whose owner was killed."""

import tempfile
from pathlib import Path

import pytest

from testbed import workdir


@pytest.fixture(autouse=True)
def temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(workdir, "_SETTLED_SECONDS", -1.0)
    return tmp_path


def test_folders_of_the_dead_are_removed_and_those_of_the_living_stay(temporary_folder: Path) -> None:
    dead = temporary_folder / "safety-governor-testbed-dead"
    dead.mkdir()
    (dead / "owner.lock").touch()
    living = workdir.Workdir()
    other = workdir.Workdir()
    assert not dead.exists()
    assert living.path.is_dir()
    assert other.path.is_dir()
    living.remove()
    other.remove()
    assert list(temporary_folder.iterdir()) == []


def test_given_folder_is_kept(tmp_path: Path) -> None:
    given = workdir.Workdir(tmp_path / "mine")
    given.remove()
    assert given.path.is_dir()


def test_private_file_is_private(tmp_path: Path) -> None:
    path = workdir.write_private(tmp_path / "secret", "text")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("text", 0o600)
    assert list(tmp_path.iterdir()) == [path]
