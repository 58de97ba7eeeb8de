"""Bearer tokens: only digests are kept, two at a time, and a change of the file counts at once."""

from pathlib import Path

import pytest

from safety_governor.domain import errors
from safety_governor_mcp import tokens


def test_new_token_is_known_by_its_line(tmp_path: Path) -> None:
    token, line = tokens.new("kibana")
    assert token not in line
    assert tokens.read(line) == {tokens.digest(token): "kibana"}


def test_no_two_tokens_are_the_same() -> None:
    assert len({tokens.new("kibana")[0] for _ in range(100)}) == 100


@pytest.mark.parametrize("name", ["stdio", "anybody", "", " ", "a b", "-a", "ü", "a" * 64, "a\nb"])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="cannot be the name of a token"):
        tokens.new(name)


HALF = "sha256:" + "a" * 64
WRONG: dict[str, tuple[str, str]] = {
    "nothing": ("", "names no token"),
    "only a comment": ("# none\n\n", "names no token"),
    "a token itself": ("kibana sgm_secret", "line 1 is not a name, a blank and sha256:"),
    "upper case": (f"kibana sha256:{'A' * 64}", "line 1 is not"),
    "a good line and a bad one": (f"kibana {HALF}\nbad", "line 2 is not"),
    "three of a name": ("\n".join(f"kibana sha256:{digit * 64}" for digit in "abc"), "kibana has more than 2 tokens"),
}


@pytest.mark.parametrize(("text", "why"), WRONG.values(), ids=WRONG.keys())
def test_file_is_refused_with(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        tokens.read(text)
    assert "sgm_" not in str(raised.value)


class TestFile:
    async def test_lets_in_who_stands_in_it_by_name(self, tmp_path: Path) -> None:
        token, line = tokens.new("kibana")
        (tmp_path / "tokens").write_text(f"# for Kibana\n{line}\n")
        known = tokens.HashedTokens(tmp_path / "tokens")
        found = await known.verify_token(token)
        assert found is not None
        assert found.client_id == "kibana"
        assert await known.verify_token(f"{token}x") is None
        assert await known.verify_token(line.split(":")[1]) is None

    async def test_may_have_two_of_a_name_and_be_changed_while_it_is_used(self, tmp_path: Path) -> None:
        (old, old_line), (new, new_line) = tokens.new("kibana"), tokens.new("kibana")
        path = tmp_path / "tokens"
        path.write_text(old_line)
        known = tokens.HashedTokens(path)
        assert await known.verify_token(old) is not None
        assert await known.verify_token(new) is None
        path.write_text(f"{old_line}\n{new_line}\n")
        assert await known.verify_token(old) is not None
        assert await known.verify_token(new) is not None
        (tmp_path / "next").write_text(new_line)
        (tmp_path / "next").replace(path)
        assert await known.verify_token(old) is None
        assert await known.verify_token(new) is not None

    @pytest.mark.parametrize("broken", ["not a line", None])
    async def test_lets_nobody_in_while_it_cannot_be_read(self, broken: str | None, tmp_path: Path) -> None:
        token, line = tokens.new("kibana")
        path = tmp_path / "tokens"
        path.write_text(line)
        known = tokens.HashedTokens(path)
        assert await known.verify_token(token) is not None
        if broken is None:
            path.unlink()
        else:
            path.write_text(broken)
        assert await known.verify_token(token) is None
        assert "cannot be used: " in await known.doubt()
        path.write_text(f"{line}\n")
        assert await known.verify_token(token) is not None
        assert await known.doubt() == ""

    def test_that_is_missing_is_said_at_the_start_with_the_way_out(self, tmp_path: Path) -> None:
        with pytest.raises(errors.ConfigurationError, match=r"No such file or directory; write lines for it with .*--new-token"):
            tokens.HashedTokens(tmp_path / "none").check()
