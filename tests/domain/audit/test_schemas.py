"""The schemas in schemas/audit: as the types say, one per kind, and every line that is written keeps to them."""

import json
from pathlib import Path

from safety_governor.domain.audit import events
from support import trails
from tools import write_schemas


def test_are_as_the_types_say() -> None:
    found = {path.name: path.read_text(encoding="utf-8") for path in write_schemas.FOLDER.iterdir()}
    assert found == {name: write_schemas.rendered(schema) for name, schema in write_schemas.schemas().items()}, "run `make schemas`"


def test_every_kind_has_one() -> None:
    assert {f"data.{kind}.json" for kind in events.Kind} <= set(write_schemas.schemas())
    assert set(events.CONTENTS) == set(events.Kind)


def test_lines_keep_to_them(tmp_path: Path) -> None:
    trails.write(tmp_path, trails.an_event(1), trails.a_question(1), trails.a_decision(1), one_by_one=False)
    for path in tmp_path.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            envelope = events.Envelope.model_validate(json.loads(line))
            events.CONTENTS[envelope.kind].model_validate(envelope.data)
