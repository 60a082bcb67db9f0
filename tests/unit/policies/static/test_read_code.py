"""What is said of code by reading it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpbox.domain.evidence import Risk
from mcpbox.policies.static import CodeReading, read_code

MAIN = "async def main(city: str, hook: str) -> object:\n"
SECRET = "ghp_" + "a1B2c3D4e5" * 4


def rules(body: str, *, head: str = "") -> set[str]:
    return {finding.rule for finding in in_main(body, head=head).findings}


def in_main(body: str, *, head: str = "") -> CodeReading:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return read_code(f"{head}{MAIN}{lines}")


@pytest.mark.parametrize(
    ("body", "rule", "level"),
    [
        ("return eval(city)", "runs-code", Risk.CRITICAL),
        ("import builtins as b\nreturn b.exec(city)", "runs-code", Risk.CRITICAL),
        ("from os import system as s\nreturn s(city)", "starts-process", Risk.CRITICAL),
        ("import pickle\nreturn pickle.loads(b'')", "unpickles", Risk.CRITICAL),
        ("import marshal as m\nreturn m.loads(b'')", "unpickles", Risk.CRITICAL),
        ("return getattr(http, city)('x')", "reflection", Risk.MEDIUM),
        ("return {'a': print}[city]()", "reflection", Risk.MEDIUM),
        ("return ().__class__.__mro__", "internals", Risk.HIGH),
        ("await http.get('https://a.example/', verify=False)", "tls-off", Risk.HIGH),
        ("import base64\nreturn base64.b64decode('aGk=')", "decodes-blob", Risk.MEDIUM),
        ("x = 'aGVsbG8w' * 1\ny = '" + "QUJD" * 60 + "'", "encoded-blob", Risk.MEDIUM),
        ("x = '" + "word " * 500 + "'", "long-literal", Risk.LOW),
        ("x = 'a\u202eb'", "bidirectional", Risk.CRITICAL),
        ("x = 'a\u200bb'", "invisible", Risk.HIGH),
        (f"key = {SECRET!r}", "secret-in-code", Risk.HIGH),
        ("password = 'hunter2hunter2'", "secret-in-code", Risk.HIGH),
        ("x = {'api_key': 'Zk3v9QpT1x'}", "secret-in-code", Risk.HIGH),
        ("x = 'q8Zt3LmX0vB7nR2cW5yK1dJ9'", "secret-in-code", Risk.HIGH),
        ("x = 'postgres://ana:pw123@db/x'", "secret-in-code", Risk.HIGH),
        ("while True:\n    pass", "endless-loop", Risk.HIGH),
        ("import itertools\nfor n in itertools.count():\n    pass", "endless-loop", Risk.HIGH),
        (
            "url = 'https://a.example/'\nwhile url:\n    url = (await http.get(url)).json()['n']",
            "unbounded-requests",
            Risk.MEDIUM,
        ),
        (
            "while True:\n    r = await http.get('https://a.example/')\n    if r:\n        break",
            "unbounded-requests",
            Risk.MEDIUM,
        ),
        ("await http.get('https://a.example/')", "uses-network", Risk.LOW),
        ("await http.get(hook)", "host-at-run-time", Risk.HIGH),
        ("await http.get(f'https://{city}.example/')", "host-at-run-time", Risk.HIGH),
        ("await http.get('https://{}/'.format(city))", "host-at-run-time", Risk.HIGH),
        ("u = 'https://' + hook\nawait http.get(u)", "host-at-run-time", Risk.HIGH),
        ("await http.get('https://a.example/' + city)", "arguments-in-url", Risk.LOW),
        (
            "k = secrets['K']\nawait http.get(f'https://a.example/?k={k}')",
            "secret-in-url",
            Risk.HIGH,
        ),
        (
            "await http.post('https://a.example/', headers={'x': secrets['K']})",
            "sends-secret",
            Risk.LOW,
        ),
        (
            "r = await http.get('https://a.example/')\n"
            "await http.post('https://b.example/', json=r.json())",
            "relays-answers",
            Risk.MEDIUM,
        ),
        ("send = http\nreturn send", "client-passed-on", Risk.MEDIUM),
    ],
)
def test_what_is_worth_a_look_is_found(body: str, rule: str, level: Risk) -> None:
    found = {finding.rule: finding for finding in in_main(body).findings}

    assert rule in found, list(found)
    assert found[rule].level is level
    assert found[rule].why
    assert found[rule].line


@pytest.mark.parametrize(
    "body",
    [
        "return city.upper()",
        "for n in range(3):\n    await http.get('https://a.example/')",
        "page = 0\nwhile page < 10:\n    await http.get('https://a.example/')\n    page += 1",
        "n = 0\nwhile True:\n    n += 1\n    await http.get('https://a.example/')\n"
        "    if n >= 5:\n        break",
        "import re\nreturn re.compile('x')",
        "x = 'a-quite-long-but-readable-name'",
        "x = '123e4567-e89b-12d3-a456-426614174000'",
        "x = 'https://api.example.com/v1/things/of/that/kind'",
        "return getattr(city, 'upper')()",
        "return {}.get(city)",
    ],
)
def test_ordinary_code_is_left_in_peace(body: str) -> None:
    assert rules(body) <= {"uses-network", "arguments-in-url"}


def test_a_finding_names_line_and_column_in_characters() -> None:
    reading = read_code("async def main() -> str:\n    return 'äöü' + eval('1')\n")

    [finding] = reading.findings
    assert (finding.line, finding.column) == (2, 20)


def test_a_secret_is_reported_without_one_character_of_it() -> None:
    [finding] = in_main(f"x = {SECRET!r}").findings

    assert not any(SECRET[at : at + 4] in finding.model_dump_json() for at in range(len(SECRET)))


def test_what_the_code_asks_of_whom_is_a_fact() -> None:
    reading = in_main(
        "await http.get(f'{BASE}/x')\nasync with httpx.AsyncClient() as c:\n"
        "    await c.delete('https://b.example/')\n    await c.request(city, hook)",
        head="import httpx\nBASE = 'https://A.example:8443'\n",
    )

    assert reading.methods == {"": ("any",), "a.example:8443": ("GET",), "b.example": ("DELETE",)}
    assert not reading.opaque


def test_a_word_in_a_docstring_is_no_code() -> None:
    assert read_code(f'{MAIN}    """Key {SECRET}."""\n    return 1\n').findings == ()


HOSTILE = {
    "one word": "x='" + "a" * 250_000 + "'",
    "one name": "a" * 250_000,
    "requests": "http.get(a)\n" * 20_000,
    "nested requests": "http.get(" * 150 + "a" + ")" * 150,
    "assignments": "\n".join(f"a{i}=a{i + 1}" for i in range(15_000)),
    "targets": "=".join(f"a{i}" for i in range(20_000)) + "=secrets['x']",
    "loops": "".join(" " * i + "while x:\n" for i in range(19)) + " " * 20 + "http.get(a)",
    "invisible": "x='\u202e'\n" * 15_000,
    "calls": "def f(a):pass\n" + "f(f(f(f(a))))\n" * 15_000,
    "recursion": "\n".join(f"def f{i}(a):f{i}(a)" for i in range(8_000)),
    "parentheses": "(" * 100_000,
    "sums": "http.get(" + "+".join("a" * 900) + ")",
    "negations": "x=" + "not " * 50_000 + "1",
    "one line": "x='é';" + "f();" * 60_000,
    "one line of requests": "x='é';" + "http.get(a);" * 20_000,
    "addresses": "x='" + "ab://c:" * 500 + "'",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code_is_answered_in_bounded_time_and_space(name: str) -> None:
    began = time.process_time()

    reading = read_code(HOSTILE[name])

    assert time.process_time() - began < 4
    assert len(reading.findings) <= 101


@given(st.text(max_size=200))
def test_no_text_whatever_breaks_it(code: str) -> None:
    read_code(code)


@given(st.lists(st.sampled_from(list("a" + "b(.)[]=:\n 'f{}+\\")), max_size=40))
def test_no_syntax_whatever_breaks_it(characters: list[str]) -> None:
    read_code("".join(characters))
