"""Writes the JSON schemas of the audit trail in `schemas/audit/` from the types of its events: `make schemas`. A test compares them."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from safety_governor.domain import archive, journal
from safety_governor.domain.audit import events

FOLDER = Path(__file__).parents[2] / "schemas" / "audit"


def schemas() -> dict[str, dict[str, Any]]:
    """Each file's name with its schema: the line itself, the content of every kind, the journal, and what is published."""
    found: dict[str, Any] = {"line": events.Envelope, **{f"data.{kind}": content for kind, content in events.CONTENTS.items()}}
    found |= {"journal.ActionIntended": journal.Intent, "journal.ActionEnded": journal.End}
    found |= {
        "published.workflow_events": archive.WorkflowEvent,
        "published.action_executions": archive.ActionExecution,
        "published.incidents": archive.IncidentEntry,
    }
    return {
        f"{name}.json": {
            "$schema": GenerateJsonSchema.schema_dialect,
            **TypeAdapter(content).json_schema(by_alias=True, mode="serialization" if name == "line" else "validation"),
        }
        for name, content in found.items()
    }


def rendered(schema: dict[str, Any]) -> str:
    """The text of one file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (FOLDER / name).write_text(rendered(schema), encoding="utf-8")
    print(f"wrote {len(schemas())} schemas to schemas/audit")


if __name__ == "__main__":
    main()
