"""Files into documents: what is accepted, and the exact complaint about everything else."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from safety_governor.adapters import document_files
from safety_governor.domain import documents

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = "kind: Policy\nid: p\nblocked_actions: [restart]\nseverities: [low]\nrule: no\n"
RUNBOOK = "kind: Runbook\nid: r\ntitle: T\nrecommended_action: a\nremediations:\n- action: a\n  steps:\n  - type: "
FRONT = "---\ntitle: Kube Pod Not Ready\nweight: 20\n---\n\n"
PROSE = FRONT + "# KubePodNotReady\n\n## Meaning\n\nNot ready.\n\n## Mitigation\n\nTalk.\n\n### More\n\nWait.\n\n## Next\n"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)
EXPECTED = "expected a mapping with `kind` and the fields of a document, or a list of such"
STEP_TYPES = "'RolloutRestart', 'Scale', 'RolloutUndo', 'EvictPods', 'Cordon', 'Uncordon', 'RunJob', 'PatchFields', 'Webhook' or 'Manual'"

BAD = {
    "misspelt field": (
        "a.yaml",
        POLICY.replace("blocked_actions", "blocked_action"),
        ["1 blocked_actions is missing; it is required", "3 blocked_action is not a field here; did you mean blocked_actions?"],
    ),
    "unknown severity": (
        "a.yaml",
        POLICY.replace("[low]", "[low, lo]"),
        ["4 severities[1] is 'lo'; expected low, medium, high, critical or *"],
    ),
    "missing id": ("a.yaml", POLICY.replace("id: p\n", ""), ["1 id is missing; it is required"]),
    "second document": (
        "a.yaml",
        POLICY + "---\n" + POLICY.replace("id: p", "id: [p]"),
        ["8 id is a list; expected text (put it in quotes)"],
    ),
    "second of a list": (
        "a.yaml",
        "- kind: Evidence\n  id: e\n  stance: supports\n  text: x\n- 7\n",
        [f"5 [1] {EXPECTED}, not the value 7"],
    ),
    "unknown step type": ("a.yaml", RUNBOOK + "Restart\n", [f"8 remediations[0].steps[0].type is 'Restart'; it should be {STEP_TYPES}"]),
    "unknown step field": (
        "a.yaml",
        RUNBOOK + "Scale\n    paramters: {}\n",
        ["9 remediations[0].steps[0].paramters is not a field here; did you mean parameters?"],
    ),
    "recommended action without remediation": (
        "a.yaml",
        RUNBOOK.replace("recommended_action: a", "recommended_action: b") + "Scale\n",
        ["4 recommended_action 'b' is none of the remediations: a"],
    ),
    "unknown kind": ("a.yaml", "id: x\nkind: Runbok\n", ["2 kind is 'Runbok'; expected one of Runbook, Evidence, Policy, LogLine"]),
    "no kind": ("a.yaml", "foo: 1\n", ["1 kind is missing; expected one of Runbook, Evidence, Policy, LogLine"]),
    "ambiguous kind": (
        "a.yaml",
        "stance: supports\nblocked_actions: []\n",
        ["1 kind is missing, and by its fields it could be Evidence or Policy"],
    ),
    "only text": ("a.yaml", "just text", [f"1 {EXPECTED}, not the text 'just text'"]),
    "only comments": ("a.yaml", "# nothing\n", ["holds no document"]),
    "empty file": ("a.yaml", " \n", ["is empty"]),
    "YAML syntax": ("a.yaml", "a: [1\nb: 2\n", ["2 is not valid YAML: while parsing a flow sequence, did not find expected ',' or ']'"]),
    "key twice": ("a.yaml", "a: 1\nb: 2\na: 2\n", ["3 a is given twice; first in line 1"]),
    "Python object": (
        "a.yaml",
        "a: !!python/name:os.system x\n",
        ["1 uses the tag tag:yaml.org,2002:python/name:os.system; expected plain text, numbers, lists and mappings"],
    ),
    "alias bomb": ("a.yaml", BOMB, ["4 uses aliases that expand to more than 10000 values; write them out"]),
    "alias of itself": ("a.yaml", "a: &a [*a]\n", ["1 is nested too deeply to be a document, or an alias contains itself"]),
    "deep nesting": ("a.yaml", "a: " + "[" * 200 + "]" * 200, ["1 is nested too deeply to be a document, or an alias contains itself"]),
    "deep JSON": ("a.json", "[" * 100_000, ["is nested too deeply to be a document"]),
    "JSON syntax": ("a.json", '{"kind": "Policy",\n "id": "p" "x"}', ["2 is not valid JSON: Expecting ',' delimiter, at column 12"]),
    "JSON field": (
        "a.json",
        '{"kind": "Evidence",\n "id": "e",\n "stance": "supports",\n "text": 3}',
        ["4 text is 3; expected text (put it in quotes)"],
    ),
    "JSON key twice": ("a.json", '{"a": 1, "a": 2}', ["gives 'a' twice in one object"]),
    "JSON constant": ("a.json", '{"a": NaN}', ["is not valid JSON: NaN is not a JSON number"]),
    "half a surrogate pair": (
        "a.json",
        '{"stance": "supports", "text": "x", "id": "\\ud800"}',
        ["1 id is '\\ud800'; it should be a valid text, unable to parse raw data as a unicode text"],
    ),
    "JSON line": (
        "a.ndjson",
        '{"message": "x", "minutes_ago": 1}\n\n{bad',
        ["3 is not valid JSON: Expecting property name enclosed in double quotes, at column 2"],
    ),
    "negative time": ("a.jsonl", '\n{"message": "x", "minutes_ago": -5}', ["2 minutes_ago is -5; expected a number of minutes, 0 or more"]),
    "two times": (
        "a.yaml",
        "message: x\nminutes_ago: 1\ntimestamp: 2026-01-01T00:00:00Z\n",
        ["2 minutes_ago is given beside `timestamp`; expected one of them"],
    ),
    "open front matter": ("a.md", "---\ntitle: x\n", ["1 has front matter that is not closed; expected a line --- after it"]),
    "broken front matter": (
        "a.md",
        "---\ntitle: [x\n---\n# A\n",
        ["3 is not valid YAML: while parsing a flow sequence, did not find expected ',' or ']'"],
    ),
    "misspelt field of a typed runbook": (
        "a.md",
        "---\nrecommended_action: a\nclaim: [x]\n---\n# A\n",
        ["3 claim is not a field here; did you mean claims?"],
    ),
    "body twice": ("a.md", "---\nstate: trusted\nbody: x\n---\n# A\n", ["3 body stands below the front matter; do not give it twice"]),
    "policy in Markdown": ("a.md", "---\nkind: Policy\n---\n# A", ["2 kind is 'Policy'; a Markdown file can only be a Runbook"]),
    "not UTF-8": ("a.md", b"# A\n\xff\xfe", ["2 is not text in UTF-8"]),
    "binary": ("a.md", b"# A\nb\0", ["2 is not text: it holds a NUL byte"]),
    "too big": ("a.yaml", b"#" * (1024 * 1024 + 1), ["is larger than 1024 KiB; split it into several files"]),
    "loop of one": (
        "a.yaml",
        RUNBOOK.replace("- action: a\n  steps:\n  - type: ", "- {action: a, see: r}\n"),
        ["6 remediations[0].see refers to itself: r → r"],
    ),
    "dangling reference": (
        "a.yaml",
        RUNBOOK.replace("- action: a\n  steps:\n  - type: ", "- {action: a, see: gone}\n"),
        ["6 remediations[0].see names the runbook 'gone', which is neither in these files nor in the store"],
    ),
    "reference beside steps": (
        "a.yaml",
        RUNBOOK.replace("- action: a\n  steps:\n  - type: ", "- {action: a, see: x, steps: []}\n"),
        ["6 remediations[0] gives `see`; expected only the name of an `action` beside it, and the id of a runbook"],
    ),
}


def read(folder: Path, *paths: str, stored: documents.Runbook | None = None) -> tuple[document_files.File, ...]:
    chosen = [folder / path for path in paths] or [folder]
    return document_files.read(chosen, now=NOW, stored_runbook=lambda name: stored if stored and stored.id == name else None)


def write(folder: Path, **files: str) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path = path.with_name(path.name.replace("_", "."))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def complaints(files: tuple[document_files.File, ...]) -> list[str]:
    return [" ".join(str(part) for part in (one.line, one.field, one.message) if part) for file in files for one in file.problems]


def only(files: tuple[document_files.File, ...]) -> documents.Document:
    assert complaints(files) == []
    (document,) = [document for file in files for document in file.documents]
    return document


def a_runbook(files: tuple[document_files.File, ...]) -> documents.Runbook:
    document = only(files)
    assert isinstance(document, documents.Runbook)
    return document


@pytest.mark.parametrize(("name", "content", "expected"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_a_problem_with_its_place(tmp_path: Path, name: str, content: str | bytes, expected: list[str]) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert complaints(read(tmp_path)) == expected


def test_one_bad_document_does_not_hide_the_good_ones(tmp_path: Path) -> None:
    write(tmp_path, a_yaml=POLICY + "---\nkind: Nothing\n---\n" + POLICY.replace("id: p", "id: q"))
    (file,) = read(tmp_path)
    assert [one.id for one in file.documents] == ["p", "q"]
    assert complaints((file,)) == ["7 kind is 'Nothing'; expected one of Runbook, Evidence, Policy, LogLine"]


def test_yaml_words_and_dates_stay_text(tmp_path: Path) -> None:
    write(
        tmp_path,
        a_yaml="kind: Evidence\nid: 2026-01-01\nservice: no\nstance: supports\ntext: on\nsource: 012\nobserved_at: 2026-01-01T00:00:00Z\n",
    )
    document = only(read(tmp_path))
    assert isinstance(document, documents.Evidence)
    assert (document.id, document.service, document.text, document.source) == ("2026-01-01", "no", "on", "012")
    assert document.observed_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_parameters_may_be_written_as_numbers(tmp_path: Path) -> None:
    write(tmp_path, a_yaml=RUNBOOK + "Scale\n    parameters: {replicas: 3, force: true}\n")
    assert a_runbook(read(tmp_path)).remediations[0].steps[0].parameters == {"replicas": "3", "force": "true"}


def test_anchors_and_merges_of_modest_size_are_fine(tmp_path: Path) -> None:
    write(tmp_path, a_yaml="- &base\n  kind: Evidence\n  id: a\n  stance: supports\n  text: x\n- <<: *base\n  id: b\n")
    assert [one.id for one in read(tmp_path)[0].documents] == ["a", "b"]


def test_json_with_tabs_and_escapes_is_read(tmp_path: Path) -> None:
    write(tmp_path, a_json='[\n\t{"kind": "Evidence",\t"id": "a\\/b", "stance": "supports", "text": "\\ud83d\\ude00"}\n]')
    assert only(read(tmp_path)).id == "a/b"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ('{"id": "x", "blocked_actions": ["a"], "severities": ["*"], "rule": "r"}', documents.Policy),
        ('{"id": "x", "stance": "neutral", "text": "t"}', documents.Evidence),
        ('{"id": "x", "title": "t", "recommended_action": "a", "body": "Do it."}', documents.Runbook),
        ('{"id": "x", "message": "m", "timestamp": "2026-01-01T00:00:00", "response": 500}', documents.LogLine),
    ],
)
def test_kind_may_be_left_out_where_a_field_tells_it(tmp_path: Path, content: str, kind: type[documents.Document]) -> None:
    write(tmp_path, a_json=content)
    assert type(only(read(tmp_path))) is kind


def test_runbook_without_remediations_hands_its_body_to_people(tmp_path: Path) -> None:
    write(tmp_path, a_yaml="id: r\ntitle: T\nrecommended_action: a\nbody: " + "x" * 2000)
    (step,) = a_runbook(read(tmp_path)).remediations[0].steps
    assert (step.type, len(step.text), step.text[-1]) == ("Manual", 1024, "…")


def test_log_lines_get_a_time_and_an_id_that_stays(tmp_path: Path) -> None:
    write(
        tmp_path, a_jsonl='{"kind": "LogLine", "message": "x", "minutes_ago": 90}\n{"kind": "LogLine", "message": "x", "minutes_ago": 90}\n'
    )
    (first,), (second,) = read(tmp_path), read(tmp_path)
    assert [one.timestamp for one in first.documents if isinstance(one, documents.LogLine)] == [NOW - timedelta(minutes=90)] * 2
    assert len({one.id for one in first.documents}) == 2
    assert [one.id for one in first.documents] == [one.id for one in second.documents]


def test_timestamp_without_zone_is_utc(tmp_path: Path) -> None:
    write(tmp_path, a_yaml="kind: LogLine\ntimestamp: 2026-01-01T00:00:00\n")
    line = only(read(tmp_path))
    assert isinstance(line, documents.LogLine)
    assert line.timestamp == datetime(2026, 1, 1, tzinfo=UTC)


def test_prose_becomes_a_runbook_that_people_follow(tmp_path: Path) -> None:
    write(tmp_path, kubernetes__KubePodNotReady_md=PROSE)
    document = a_runbook(read(tmp_path))
    assert (document.id, document.title, document.service, document.state) == (
        "kubernetes/KubePodNotReady",
        "KubePodNotReady",
        "*",
        "trusted",
    )
    assert (document.recommended_action, document.remediations[0].steps[0].text) == ("follow-runbook", "Talk.\n\n### More\n\nWait.")
    assert document.body.startswith("# KubePodNotReady")
    assert document.tags == ()


def test_prose_keeps_a_front_matter_title_that_says_more_as_a_tag(tmp_path: Path) -> None:
    write(tmp_path, a_md="---\ntitle: Pod Lifecycle Event Generator\nservice: checkout\n---\n# PlegHigh\n\n## Fix\n\nTODO\n")
    document = a_runbook(read(tmp_path))
    assert (document.title, document.tags, document.service) == ("PlegHigh", ("Pod Lifecycle Event Generator",), "checkout")
    assert document.remediations[0].steps[0].text == "Follow the runbook “PlegHigh”."


def test_headings_in_code_are_not_headings(tmp_path: Path) -> None:
    write(tmp_path, a_md="```sh\n# not a title\n## Fix\n```\n# Title\n\n## Resolution\n\n```\n# a comment\n```\nDone.\n")
    document = a_runbook(read(tmp_path))
    assert document.title == "Title"
    assert document.remediations[0].steps[0].text == "```\n# a comment\n```\nDone."


@pytest.mark.parametrize(("content", "title"), [("---\ntitle: From front\n---\ntext", "From front"), ("only text", "a")])
def test_title_falls_back_to_front_matter_and_file_name(tmp_path: Path, content: str, title: str) -> None:
    write(tmp_path, a_md=content)
    assert a_runbook(read(tmp_path)).title == title


def test_front_matter_that_remedies_makes_a_typed_runbook(tmp_path: Path) -> None:
    front = "service: checkout\nrecommended_action: a\nclaims: [It leaks.]\nremediations:\n- action: a\n  steps: [{type: RolloutRestart}]\n"
    write(tmp_path, a_md=f"\ufeff---\n{front}---\n# Leak\r\n\nText.\n")
    document = a_runbook(read(tmp_path))
    assert (document.id, document.title, document.service, document.claims) == ("a", "Leak", "checkout", ("It leaks.",))
    assert document.remediations[0].steps[0].type == "RolloutRestart"
    assert document.body == "# Leak\n\nText.\n"


REFERRING = "---\nkind: Runbook\nid: {id}\ntitle: T\nrecommended_action: a\nremediations:\n- {{action: a, see: {see}}}\n"


def test_references_are_followed_and_their_steps_copied(tmp_path: Path) -> None:
    write(tmp_path, a_yaml=REFERRING.format(id="x", see="y") + REFERRING.format(id="y", see="r"), b_yaml=RUNBOOK + "Cordon\n")
    first, second = read(tmp_path)
    assert complaints((first, second)) == []
    steps = [one.remediations[0].steps[0].type for one in first.documents if isinstance(one, documents.Runbook)]
    assert steps == ["Cordon", "Cordon"]


def test_reference_to_a_stored_runbook_is_followed(tmp_path: Path) -> None:
    write(tmp_path, r_yaml=RUNBOOK + "Cordon\n")
    stored = a_runbook(read(tmp_path))
    write(tmp_path, r_yaml=REFERRING.format(id="x", see="r"))
    assert a_runbook(read(tmp_path, stored=stored)).remediations == stored.remediations


def test_loop_of_references_is_named_whole(tmp_path: Path) -> None:
    write(tmp_path, a_yaml="".join(REFERRING.format(id=name, see=see) for name, see in ("xy", "yz", "zx")))
    assert complaints(read(tmp_path)) == [
        "7 remediations[0].see refers to itself: x → y → z → x",
        "14 remediations[0].see refers to itself: y → z → x → y",
        "21 remediations[0].see refers to itself: z → x → y → z",
    ]


def test_reference_into_a_loop_of_others_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a_yaml="".join(REFERRING.format(id=name, see=see) for name, see in ("wx", "xy", "yx")))
    assert complaints(read(tmp_path))[0] == "7 remediations[0].see refers to itself: x → y → x"


def test_reference_to_an_action_that_is_not_there_says_which_are(tmp_path: Path) -> None:
    write(tmp_path, a_yaml=REFERRING.format(id="x", see="r"), b_yaml=RUNBOOK.replace("action: a", "action: b") + "Cordon\n")
    assert complaints(read(tmp_path)) == ["7 remediations[0].see names the runbook 'r', which has no remediation 'a'; it has b"]


def test_duplicate_ids_name_both_places(tmp_path: Path) -> None:
    write(tmp_path, a_yaml=POLICY, b_yaml="# again\n" + POLICY.replace("id: p", "id: P"))
    (problem,) = complaints(read(tmp_path))
    assert problem == f"3 id 'P' is the id of two Policy documents; the other is in {(tmp_path / 'a.yaml').as_posix()}:2"


def test_folder_is_read_sorted_without_hidden_files_and_without_what_is_no_document(tmp_path: Path) -> None:
    write(tmp_path, b__z_md="# Z", a_md="# A", LICENSE="text", README_md="# About")
    for hidden in (tmp_path / ".git" / "x.md", tmp_path / ".hidden.md"):
        hidden.parent.mkdir(exist_ok=True)
        hidden.write_text("# hidden")
    files = read(tmp_path)
    assert [(Path(file.path).name, file.skipped) for file in files] == [
        ("LICENSE", "no document ending"),
        ("README.md", "about the folder, not a runbook"),
        ("a.md", ""),
        ("z.md", ""),
    ]


def test_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    write(tmp_path, a_md="# A")
    assert len(document_files.read([tmp_path / "a.md", tmp_path, tmp_path / "a.md"], now=NOW, stored_runbook=lambda _: None)) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.md", "does not exist"),
        ("LICENSE", "has an unknown ending; expected one of .yaml, .yml, .json, .jsonl, .ndjson, .md, .markdown"),
        ("nowhere.md", "is a link to nothing"),
    ],
)
def test_named_file_that_cannot_be_read_is_a_problem(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "LICENSE").write_text("x")
    (tmp_path / "nowhere.md").symlink_to(tmp_path / "gone")
    assert complaints(read(tmp_path, name)) == [message]


def test_link_to_nothing_in_a_folder_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "nowhere.md").symlink_to(tmp_path / "gone")
    assert complaints(read(tmp_path)) == ["is not a regular file"]
