"""The structure of a runbook's Markdown, as far as searching it needs it: which part says what the alert means.

It must not judge or change the text; the loader has its own reader, which is strict where this one is lenient.
"""

import re

_HEADING = re.compile(r"^#{1,6}[ \t]+(.*?)[ \t#]*$", re.MULTILINE)
_MEANING = re.compile(r"^(meaning|description|summary|overview|about|what|symptoms?)\b", re.IGNORECASE)
_ASIDE = re.compile(r"<details>.*?</details>", re.DOTALL | re.IGNORECASE)


def meaning(text: str) -> str:
    """The section that says what the alert means, or the first paragraph; without what is folded away in it."""
    parts = _HEADING.split(text)
    sections = list(zip(parts[1::2], parts[2::2], strict=True))
    meant = " ".join(body for heading, body in sections if _MEANING.match(heading))
    return _ASIDE.sub(" ", meant or _first_paragraph([parts[0], *parts[2::2]]))


def _first_paragraph(bodies: list[str]) -> str:
    paragraphs = (paragraph for body in bodies for paragraph in body.split("\n\n"))
    return next((paragraph for paragraph in paragraphs if paragraph.strip()), "")
