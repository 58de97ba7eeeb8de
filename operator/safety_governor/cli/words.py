"""Words that depend on numbers."""


def counted(number: int, one: str, many: str = "") -> str:
    """Such as `1 line`, `2 lines`, `2 policies`."""
    return f"{number} {one if number == 1 else many or one + 's'}"
