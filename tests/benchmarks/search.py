"""How long a search takes over ten thousand runbooks, against raw tantivy over the same texts in the same run.

Run it by hand: `PYTHONPATH=tests python tests/benchmarks/search.py`. Ratios are what to compare between machines; milliseconds are not.
"""

import asyncio
import functools
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import tantivy

from safety_governor.adapters.embedded import EmbeddedKnowledge
from safety_governor.domain import documents
from support.timing import milliseconds, percentiles

COUNT, QUESTIONS, WORDS = 10_000, 300, 4_000


def runbooks(chance: random.Random, count: int = COUNT) -> list[documents.Runbook]:
    words = ["".join(chance.choices("abcdefghijklmnoprstuvw", k=chance.randint(3, 10))) for _ in range(WORDS)]
    weights = [1 / rank for rank in range(1, WORDS + 1)]
    remedy = {"action": "follow", "steps": [{"type": "Manual", "text": "x"}]}

    def make(number: int) -> documents.Runbook:
        title = "".join(word.title() for word in chance.choices(words, weights, k=4))
        body = (
            "## Meaning\n\n"
            + " ".join(chance.choices(words, weights, k=20))
            + "\n\n## Fix\n\n"
            + " ".join(chance.choices(words, weights, k=180))
        )
        return documents.Runbook.model_validate(
            {"id": f"r{number}", "title": title, "body": body, "recommended_action": "follow", "remediations": [remedy]}
        )

    return [make(number) for number in range(count)]


def raw(held: list[documents.Runbook]) -> Callable[[str], Awaitable[object]]:
    builder = tantivy.SchemaBuilder()
    schema = builder.add_text_field("title", tokenizer_name="en_stem").add_text_field("body", tokenizer_name="en_stem").build()
    index = tantivy.Index(schema)
    writer = index.writer(128_000_000, 1)
    for one in held:
        writer.add_document(tantivy.Document(title=one.title, body=one.body))
    writer.commit()
    index.reload()

    async def search(text: str) -> object:
        return index.searcher().search(index.parse_query(text, ["title", "body"]), 10).hits

    return search


async def measured(search: Callable[[str], Awaitable[object]], questions: list[str]) -> tuple[float, float]:
    """Milliseconds at p50 and p99."""
    return percentiles([await milliseconds(functools.partial(search, text)) for text in questions])


async def main() -> None:
    chance = random.Random(7)
    held = runbooks(chance)
    questions = [" ".join(chance.sample(one.body.replace("#", "").split(), 15)) for one in chance.sample(held, QUESTIONS)]
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddedKnowledge.open(Path(folder) / "knowledge.db", create=True)
        start = time.perf_counter()
        store.replace_documents(held)
        loaded = time.perf_counter()
        await store.search_runbooks("first", service="a", limit=10)
        print(f"load {COUNT} runbooks {loaded - start:.2f} s; first search, which builds the index {time.perf_counter() - loaded:.2f} s")
        ours = await measured(lambda text: store.search_runbooks(text, service="a", limit=10), questions)
        theirs = await measured(raw(held), questions)
    for name, mine, other in zip(("p50", "p99"), ours, theirs, strict=True):
        print(f"{name}  governor {mine:.2f} ms  raw tantivy {other:.2f} ms  ratio {mine / other:.1f}")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
