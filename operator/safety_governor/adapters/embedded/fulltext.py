"""The only module that speaks to tantivy about documents: terms in, positions and BM25 scores out.

It knows neither runbooks nor evidence. Queries are built from terms, never parsed from text. Rows are numbered by their
position, and one thread writes them in that order, so that the same rows always give the same answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import tantivy

_HEAP = 128_000_000
"""Bytes of postings before tantivy starts another segment; ten thousand runbooks need far fewer."""
_EVERYWHERE = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is indexed of one document."""

    service: str
    fields: Mapping[str, Sequence[str]]
    """Terms by field."""


class FullText:
    """An index in memory over rows that never change."""

    def __init__(self, rows: Iterable[Row], *, fields: Sequence[str]) -> None:
        builder = tantivy.SchemaBuilder()
        for field in fields:
            builder.add_text_field(field, tokenizer_name="whitespace", index_option="freq")
        builder.add_text_field("service", tokenizer_name="raw", index_option="basic")
        builder.add_unsigned_field("position", indexed=True, fast=True)
        self._schema = builder.build()
        self._index = tantivy.Index(self._schema)
        writer = self._index.writer(heap_size=_HEAP, num_threads=1)
        for position, row in enumerate(rows):
            document = tantivy.Document()
            for field, terms in row.fields.items():
                document.add_text(field, " ".join(terms))
            document.add_text("service", row.service)
            document.add_unsigned("position", position)
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()
        self._searcher = self._index.searcher()

    @property
    def size(self) -> int:
        """How many rows there are."""
        return self._searcher.num_docs

    def frequency(self, field: str, term: str) -> int:
        """In how many rows the field has the term."""
        return self._searcher.doc_freq(field, term)

    def best(self, wanted: Mapping[str, Iterable[str]], *, service: str, limit: int) -> dict[int, float]:
        """Positions and scores of the best rows of the service or of `*` that have any of the wanted terms, by field."""
        here = tantivy.Query.term_set_query(self._schema, "service", [service, _EVERYWHERE])
        return self._search(wanted, within=here, limit=limit)

    def scores(self, wanted: Mapping[str, Iterable[str]], positions: Sequence[int]) -> dict[int, float]:
        """Scores of those of the given rows that have any of the wanted terms."""
        these = tantivy.Query.term_set_query(self._schema, "position", list(positions))
        return self._search(wanted, within=these, limit=len(positions))

    def _search(self, wanted: Mapping[str, Iterable[str]], *, within: tantivy.Query, limit: int) -> dict[int, float]:
        any_of = [
            (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, field, term, "freq"))
            for field, terms in wanted.items()
            for term in dict.fromkeys(terms)
        ]
        if not any_of or limit <= 0:
            return {}
        filtered = tantivy.Query.const_score_query(within, 0.0)
        query = tantivy.Query.boolean_query([(tantivy.Occur.Must, tantivy.Query.boolean_query(any_of)), (tantivy.Occur.Must, filtered)])
        found = self._searcher.search(query, limit, count=False).hits
        positions = self._searcher.fast_field_values("position", [address for _, address in found])
        return {int(position or 0): score for (score, _), position in zip(found, positions, strict=True)}
