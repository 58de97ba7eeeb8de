"""Incidents from files, as kubectl writes them."""

from collections.abc import Iterator
from pathlib import Path

import pydantic
import yaml

from safety_governor.api import group, v1alpha1


def incidents_of(path: Path) -> Iterator[v1alpha1.Incident]:
    """Every Incident of a file: one or more documents, or a List. Raises ValueError with file and field."""
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ValueError(f"{path} cannot be read as YAML or JSON: {error}") from error
    for document in documents:
        bodies = document.get("items") if isinstance(document, dict) and "items" in document else [document]
        for body in bodies or []:
            if not isinstance(body, dict) or body.get("kind") != group.INCIDENT_KIND:
                continue
            try:
                yield v1alpha1.Incident.read(body)
            except pydantic.ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                where = ".".join(str(part) for part in first["loc"])
                raise ValueError(f"{path}: not an Incident as this version knows it: {where}: {first['msg']}") from error
