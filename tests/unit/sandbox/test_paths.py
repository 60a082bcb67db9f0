import httpx
import pytest

from sandbox.paths import is_ambiguous, is_below, path_of, prefix_of


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/../admin", "/v1/./x", "/v1/%2e%2e/admin", "/v1/.%2E/admin", "/v1/..%2fadmin"),
        *("/v1//admin", "//v1", "/v1/%2fadmin", "/v1\\..\\admin", "/v1/%5c..%5cadmin"),
        *("/v1/..;/admin", "/v1/..;a=b/admin", "/v1/;/x", "/v1/a;b", "/v1/%3b/x"),
        *("/v1/%252e%252e/admin", "/v1/%25252e", "/v1/%c0%ae%c0%ae/admin", "/v1/%ff"),
        *("/v1/%ef%bc%8e%ef%bc%8e/x", "/v1/%ef%bc%8fx", "/v1/%e2%80%a5/x", "/v1/%u002e"),
        *("/v1/..%00/x", "/v1/%0a", "/v1/%09..", "/v1/..%20/x", "/v1/.../x", "/v1/. ./x"),
        *("/v1/..%3fx", "/v1/..%23x", "/v1/%e2%80%8e..", "/v1/.."),
    ],
)
def test_what_two_servers_could_read_differently_is_ambiguous(path: str) -> None:
    assert is_ambiguous(path)


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/v1", "/v1/", "/v1/items/3", "/v1/a.b/..c/d..", "/v1/.well-known"),
        *("/v1/%20a", "/v1/%C3%A9", "/v1/a:b@c,d+e!$&'()*=", "/v1/%41", "/v1/x%26y"),
    ],
)
def test_what_every_server_reads_alike_is_not(path: str) -> None:
    assert not is_ambiguous(path)


def test_a_prefix_covers_whole_segments() -> None:
    prefix = prefix_of("/v1/items/")

    assert prefix == ("v1", "items")
    assert is_below("/v1/items", prefix)
    assert is_below("/v1/items/", prefix)
    assert is_below("/v1/items/3", prefix)
    assert not is_below("/v1/items2", prefix)
    assert not is_below("/v1", prefix)
    assert not is_below("//v1/items", prefix)
    assert is_below("/anything", prefix_of("/"))


def test_a_prefix_is_spelt_as_httpx_spells_a_path() -> None:
    assert is_below(path_of(httpx.URL("https://x/café/y?z")), prefix_of("/café"))


@pytest.mark.parametrize("text", ["", "v1", "/a/../b", "/a//b", "/a?b", "/a#b", "/a%2fb", "/*"])
def test_a_malformed_prefix_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        prefix_of(text)
