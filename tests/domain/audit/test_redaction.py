"""Secrets never reach the trail, and what is no secret stays as it is."""

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safety_governor.domain.audit import redaction

SECRETS = [
    ("password=hunter2hunter2", "hunter2hunter2"),
    ("PGPASSWORD: s3cr3tpw", "s3cr3tpw"),
    ('{"password": "hunter2hunter2"}', "hunter2hunter2"),
    ("DB_PASSWD='abcd1234'", "abcd1234"),
    ("api_key=0123456789abcdef", "0123456789abcdef"),
    ("X-Api-Key: 0123456789abcdef", "0123456789abcdef"),
    ("client_secret=abcdefgh", "abcdefgh"),
    ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI"),
    ("key AKIAIOSFODNN7EXAMPLE is used", "AKIAIOSFODNN7EXAMPLE"),
    ("Authorization: Bearer abcdefghijklmnop.qrst", "abcdefghijklmnop"),
    ("Authorization: ApiKey VnVhQ2ZHY0JDZGJrU", "VnVhQ2ZHY0JDZGJrU"),
    ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "eyJzdWIiOiIxMjM0In0"),
    ("posted with xoxb-123456789012-abcdefghijkl", "xoxb-123456789012"),
    ("xapp-1-A012-345-abcdef", "A012-345"),
    ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "abcdefghijklmnop"),
    ("github_pat_11ABCDEFG0abcdefghijkl_mnop", "11ABCDEFG0"),
    ("glpat-abcdefghijklmnopqrst", "abcdefghijkl"),
    ("sk-proj-abcdefghijklmnopqrstuv", "abcdefghijkl"),
    ("AIzaSyA-abcdefghijklmnopqrstuvwxyz01234", "abcdefghijkl"),
    ("sk_live_abcdefghijklmnop1234", "abcdefghijkl"),
    ("postgres://app:hunter2@db:5432/shop", "hunter2"),
    ("https://user:pa55w0rd@example.org/x", "pa55w0rd"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "MIIEow"),
    ("-----BEGIN PRIVATE KEY-----\nMIIEow (cut off", "MIIEow"),
    ("password=ab,cdefgh", "cdefgh"),
    ("password=abc", "abc"),
    ("pwd: xyz, user: bob", "xyz"),
    ('password = "two words"', "words"),
    ("passphrase: correct horse battery staple", "horse"),
    ('{"passphrase": "correct horse", "user": "bob"}', "horse"),
    ("called with sgm_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG", "abcdefghij"),
    ("my.very-long_name.token=abcdefgh", "abcdefgh"),
    ('secret="unclosed value', "unclosed"),
    ('env: [{"name": "DB_PASSWORD", "value": "hunter2"}]', "hunter2"),
    ('{"msg": "{\\"password\\":\\"hunter22\\"}"}', "hunter22"),
    ('{\\"name\\":\\"DB_PASSWORD\\",\\"value\\":\\"hunter22\\"}', "hunter22"),
    ('{"password":"ab\\"cdefgh-rest"}', "cdefgh-rest"),
    ('[{"value":"hunter22","name":"DB_PASSWORD"}]', "hunter22"),
    ("- name: API_TOKEN\n  value: hunter2hunter2", "hunter2"),
]

HARMLESS = [
    "the token has expired",
    "token: is too old",
    "the password: missing, as before",
    "tokens: 1500",
    "used max_tokens=4096",
    '{"passphrase": "unknown", "user": "bob"}',
    "password: missing",
    "secret: unknown",
    "sha256:" + "a" * 64,
    "Deployment/payments has 3 of 3 replicas",
    "https://runbooks.example.org/payments?page=2",
    "connection pool exhausted at 10:32:07",
    "the bearer of bad news",
    "restart-payments",
]


@pytest.mark.parametrize(("text", "secret"), SECRETS, ids=[text[:20] for text, _ in SECRETS])
def test_secret_is_redacted(text: str, secret: str) -> None:
    found = redaction.redacted(f"before {text} after")
    assert secret not in found
    assert "[redacted" in found
    assert found.startswith("before ")


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redaction.redacted(text) == text


def test_a_field_named_like_a_secret_holds_none_at_any_depth() -> None:
    assert redaction.without_secrets({"data": [{"apiKey": "0123", "password": "hunter2", "count": 3, "token": ""}]}) == {
        "data": [{"apiKey": "[redacted]", "password": "[redacted]", "count": 3, "token": ""}]
    }


def test_lists_numbers_and_objects_under_such_a_name_are_hidden_as_well() -> None:
    found = redaction.without_secrets(
        {"secrets": ["a", 7, {"user": "bob"}], "password": 1234, "tokens": 512, "credentials": None, "secret": False}
    )
    assert found == {
        "secrets": ["[redacted]", "[redacted]", {"user": "[redacted]"}],
        "password": "[redacted]",
        "tokens": 512,
        "credentials": None,
        "secret": False,
    }


def test_variable_of_a_container_is_named_beside_its_value() -> None:
    found = redaction.without_secrets({"env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "LEVEL", "value": "info"}]})
    assert found == {"env": [{"name": "DB_PASSWORD", "value": "[redacted]"}, {"name": "LEVEL", "value": "info"}]}


def test_text_that_has_no_form_in_utf_8_is_given_one_wherever_it_stands() -> None:
    odd = "sha256:" + "a" * 64 + "\ud800"
    json.dumps(redaction.without_secrets({"token": odd, "tokens": [odd], "a\ud800": odd}), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "piece",
    [
        "a.",
        "a-",
        "token",
        "token:",
        "token=",
        "token='",
        'token="',
        "://",
        "://a:",
        "-eyJ",
        "eyJaaaaaaaa.",
        "bearer ",
        "passphrase:",
        "password,value ",
        "token\\",
        'token:"\\"',
        'value":"',
        'value":"a","name":"',
        "password ",
        "-----BEGIN ",
    ],
)
def test_time_grows_with_the_text(piece: str) -> None:
    def seconds(length: int) -> float:
        text = (piece * (length // len(piece) + 1))[:length]
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            redaction.redacted(text)
            best = min(best, time.process_time() - start)
        return best

    # Sixteen times the text would take 256 times as long.
    assert seconds(320_000) < 80 * max(seconds(20_000), 0.001)


@example(["passphrase", ": ", "password"])
@given(
    st.lists(
        st.sampled_from(["password", "token", "=", ": ", '"', "'", "abc", ",", "x y", "passphrase", "\n", "[redacted]", "://", "@"]),
        max_size=12,
    )
)
def test_redacting_twice_changes_nothing_where_there_is_much_of_it(parts: list[str]) -> None:
    once = redaction.redacted("".join(parts))
    assert redaction.redacted(once) == once


@given(st.text(max_size=300))
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = redaction.redacted(text)
    assert redaction.redacted(once) == once
