"""Finding the servers; nothing is compiled here."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from testbed import binaries


def executable(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return binaries.cache_folder()


def test_cache_folder_is_named_after_the_pins(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.parent.name.startswith(f"servers-{binaries.kubernetes_version()}-")
    monkeypatch.setattr(binaries, "KWOK_VERSION", "v0.0.1")
    assert binaries.cache_folder() != cache


def test_assets_win_and_the_cache_fills_the_gaps(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = executable(tmp_path / "assets" / "etcd")
    executable(cache / "etcd")
    own = executable(cache / "kwok")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(given.parent))
    assert binaries.ensure(["etcd", "kwok"]) == {"etcd": given, "kwok": own}
    assert binaries.missing(["etcd", "kwok", "kubectl"]) == ["kubectl"]


def test_assets_that_are_no_folder_are_an_error(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "typo"))
    with pytest.raises(binaries.BinaryError, match="typo, which is not a folder"):
        binaries.find("etcd")


def test_missing_go_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(binaries.BinaryError, match=r"no `go`\. Install Go 1\.\d+.*KUBEBUILDER_ASSETS"):
        binaries.ensure(["etcd"])


def test_old_go_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    executable(tmp_path / "tools" / "go", "#!/bin/sh\necho go1.19.4\n")
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    with pytest.raises(binaries.BinaryError, match=r"go1\.19\.4, which is too old"):
        binaries.ensure(["etcd"])


def test_missing_server_is_compiled_once(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = """#!/bin/sh
if [ "$1" = env ]; then echo go1.99.0; exit; fi
echo "$*" >> "$0.calls"
while [ $# -gt 1 ]; do if [ "$1" = -o ]; then echo '#!/bin/sh' > "$2"; fi; shift; done
"""
    go = executable(tmp_path / "tools" / "go", fake)
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    said = io.StringIO()
    console = Console(file=said, width=200)
    assert binaries.ensure(["kubectl"], console) == binaries.ensure(["kubectl"], console) == {"kubectl": cache / "kubectl"}
    calls = (tmp_path / "tools" / "go.calls").read_text().splitlines()
    assert len(calls) == 1
    assert "version.gitVersion=v1." in calls[0]
    assert "(1/1) kubectl: compiling (usually about 70 s)" in said.getvalue()
    assert [path.name for path in cache.iterdir()] == ["kubectl"]


def test_failed_compilation_shows_what_go_said(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    go = executable(tmp_path / "tools" / "go", '#!/bin/sh\nif [ "$1" = env ]; then echo go1.99.0; exit; fi\necho no such module; exit 1\n')
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    with pytest.raises(binaries.BinaryError, match=r"(?s)compiling kwok failed.*no such module"):
        binaries.ensure(["kwok"], Console(file=io.StringIO()))
