"""The table of what httpx does in a tool: ``{name: (body of main(base), what it returns)}``."""

from typing import Any

_BASIC = {"authorization": "Basic YW5hOnDDpHNz"}

WORKS: dict[str, tuple[str, Any]] = {
    **{
        method.lower(): (
            f'return (await http.{method.lower()}(base + "/x")).json()["method"]',
            method,
        )
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    },
    "any method": ('return (await http.request("PROPFIND", base)).json()["method"]', "PROPFIND"),
    "HEAD has no body": (
        """
answer = await http.head(base + "/length")
return [answer.status_code, answer.headers["content-length"], answer.content.decode()]
""",
        [200, "99999999999", ""],
    ),
    "204 and 304 have no body": (
        """
answers = [await http.get(base + path) for path in ("/204", "/304", "/after")]
return [[one.status_code, len(one.content)] for one in answers][:2]
""",
        [[204, 0], [304, 0]],
    ),
    "1xx is skipped": ('return (await http.get(base + "/100")).text', "after 103"),
    "json": (
        """
said = (await http.post(base, json={"a": [1, "ä"]})).json()
return [said["headers"]["content-type"], said["headers"]["content-length"], said["body"]]
""",
        ["application/json", "14", '{"a":[1,"ä"]}'],
    ),
    "form": (
        """
said = (await http.post(base, data={"a": "1 &", "b": ["x", "y"]})).json()
return [said["headers"]["content-type"], said["body"]]
""",
        ["application/x-www-form-urlencoded", "a=1+%26&b=x&b=y"],
    ),
    "files": (
        """
files = {"file": ("a.txt", b"hello", "text/plain"), "other": b"bytes"}
said = (await http.post(base, data={"k": "v"}, files=files)).json()
return [said["headers"]["content-type"][:20], said["body"].count("Content-Disposition"),
        'filename="a.txt"' in said["body"],
        int(said["headers"]["content-length"]) == len(said["body"])]
""",
        ["multipart/form-data;", 3, True, True],
    ),
    "params": (
        """
said = (await http.get(base + "/p?z=0", params={"a": "1 &", "b": [2, 3], "c": None})).json()
return said["target"]
""",
        "/p?a=1+%26&b=2&b=3&c=",
    ),
    "headers": (
        """
said = (await http.get(base, headers={"X-One": "1", "User-Agent": "mine"})).json()["headers"]
return [said["x-one"], said["user-agent"]]
""",
        ["1", "mine"],
    ),
    "headers of the connection are the broker's": (
        """
given = {"Host": "evil.test", "Connection": "close", "Expect": "100-continue", "TE": "gzip"}
said = (await http.post(base, headers=given, content=b"x")).json()["headers"]
return [said["host"] == base[7:], "expect" in said, "te" in said, said.get("connection")]
""",
        [True, False, False, None],
    ),
    "basic authentication": (
        """
one = (await http.get(base, auth=("ana", "päss"))).json()["headers"]["authorization"]
async with httpx.AsyncClient(auth=httpx.BasicAuth("ana", "päss")) as client:
    other = (await client.get(base)).json()["headers"]["authorization"]
return [one, other]
""",
        [_BASIC["authorization"]] * 2,
    ),
    "digest authentication": (
        """
answer = await http.get(base + "/digest", auth=httpx.DigestAuth("ana", "pass"))
return [answer.status_code, len(answer.history), answer.text]
""",
        [200, 1, "welcome"],
    ),
    "an authentication flow of its own": (
        """
class Token(httpx.Auth):
    requires_response_body = True
    def auth_flow(self, request):
        answer = yield request
        request.headers["X-Token"] = answer.json()["method"]
        yield request
return (await http.get(base, auth=Token())).json()["headers"]["x-token"]
""",
        "GET",
    ),
    "cookies": (
        """
async with httpx.AsyncClient(cookies={"own": "1"}) as client:
    await client.get(base + "/cookie")
    said = (await client.get(base)).json()["headers"]["cookie"]
    return [sorted(said.split("; ")), client.cookies["sid"]]
""",
        [["own=1", "sid=abc"], "abc"],
    ),
    "redirects": (
        """
answer = await http.get(base + "/redirect", follow_redirects=True)
plain = await http.get(base + "/redirect")
return [answer.json()["target"], [one.status_code for one in answer.history],
        plain.status_code, plain.has_redirect_location, plain.next_request.url.path]
""",
        ["/landed", [302], 302, True, "/landed"],
    ),
    "a redirect keeps method and body where it must": (
        """
async with httpx.AsyncClient(follow_redirects=True) as client:
    kept = (await client.post(base + "/307", json=[1])).json()
    turned = (await client.post(base + "/redirect", json=[1])).json()
return [kept["method"], kept["body"], turned["method"], turned["body"]]
""",
        ["POST", "[1]", "GET", ""],
    ),
    "too many redirects": (
        """
try:
    await http.get(base + "/loop", follow_redirects=True)
except httpx.TooManyRedirects as error:
    return str(error)
""",
        "Exceeded maximum allowed redirects.",
    ),
    "base_url": (
        """
async with httpx.AsyncClient(base_url=base + "/v1/", params={"k": "v"}) as client:
    return (await client.get("items")).json()["target"]
""",
        "/v1/items?k=v",
    ),
    "event hooks": (
        """
seen = []
async def asking(request): seen.append(f"> {request.method}")
async def answered(response): seen.append(f"< {response.status_code}")
async with httpx.AsyncClient(event_hooks={"request": [asking], "response": [answered]}) as client:
    await client.get(base)
return seen
""",
        ["> GET", "< 200"],
    ),
    "blocking calls": (
        """
with httpx.Client(base_url=base) as client:
    second = client.post("/c", json=1).json()["body"]
with httpx.stream("GET", base + "/lines") as answer:
    lines = list(answer.iter_lines())
return [httpx.get(base + "/a").json()["target"], second, lines]
""",
        ["/a", "1", ["one", "two", "three"]],
    ),
    "streaming": (
        """
async with http.stream("GET", base + "/lines") as answer:
    lines = [line async for line in answer.aiter_lines()]
async with http.stream("GET", base + "/lines") as answer:
    sizes = [len(part) async for part in answer.aiter_bytes(4)]
async with http.stream("GET", base + "/gzip") as answer:
    raw = b"".join([part async for part in answer.aiter_raw()])
async with http.stream("GET", base + "/gzip") as answer:
    text = "".join([part async for part in answer.aiter_text()])
return [lines, sizes, raw[:2] == b"\\x1f\\x8b", text]
""",
        [["one", "two", "three"], [4, 4, 4, 1], True, "zipped"],
    ),
    "a part is there before the next is sent": (
        """
async with http.stream("GET", base + "/steps") as answer:
    seen = []
    async for line in answer.aiter_lines():
        seen.append(line)
        await http.get(base + "/step")
return seen
""",
        ["step 0", "step 1", "step 2"],
    ),
    "streaming uploads": (
        """
async def parts():
    for number in range(3):
        await asyncio.sleep(0)
        yield f"part {number};".encode()
said = (await http.post(base, content=parts())).json()
blocking = httpx.post(base, content=(bytes([part]) for part in b"abc")).json()
return [said["body"], said["headers"]["content-length"], blocking["body"]]
""",
        ["part 0;part 1;part 2;", "21", "abc"],
    ),
    "gzip and deflate": (
        """
answers = [await http.get(base + path) for path in ("/gzip", "/deflate")]
return [one.text for one in answers]
""",
        ["zipped", "deflated"],
    ),
    "encodings of text": (
        """
answer = await http.get(base + "/latin")
return [answer.text, answer.encoding, answer.charset_encoding]
""",
        ["käse", "iso-8859-1", "iso-8859-1"],
    ),
    "chunked": ('return (await http.get(base + "/chunked")).text', "onetwo"),
    "a body until the end of the connection": (
        'return (await http.get(base + "/until-end")).text',
        "all of it",
    ),
    "details of a response": (
        """
answer = await http.get(base + "/gzip")
return [answer.http_version, answer.reason_phrase, answer.elapsed.total_seconds() > 0,
        answer.num_bytes_downloaded == int(answer.headers["content-length"]), answer.is_success,
        str(answer.url) == base + "/gzip", answer.request.method]
""",
        ["HTTP/1.1", "Fine", True, True, True, True, "GET"],
    ),
    "raise_for_status": (
        """
try:
    (await http.get(base + "/404")).raise_for_status()
except httpx.HTTPStatusError as error:
    return [error.response.status_code, error.response.reason_phrase, error.response.text]
""",
        [404, "Gone Fishing", "no"],
    ),
    "many at a time": (
        """
answers = await asyncio.gather(*(http.get(f"{base}/{number}") for number in range(8)))
return [one.json()["target"] for one in answers]
""",
        [f"/{number}" for number in range(8)],
    ),
    "a read timeout": (
        """
try:
    await http.get(base + "/never", timeout=httpx.Timeout(5, read=0.2))
except httpx.ReadTimeout as error:
    return [str(error), str(error.request.url) == base + "/never"]
""",
        ["localhost sent nothing for too long", True],
    ),
    "a timeout between two parts": (
        """
async with http.stream("GET", base + "/stalls", timeout=0.2) as answer:
    try:
        return [line async for line in answer.aiter_lines()]
    except httpx.ReadTimeout:
        return "stalled"
""",
        "stalled",
    ),
    "HTTP/2 may be asked for": (
        """
async with httpx.AsyncClient(http2=True) as client:
    return (await client.get(base)).http_version
""",
        "HTTP/1.1",
    ),
    "transports by name": (
        """
async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=1)) as client:
    return (await client.get(base)).status_code
""",
        200,
    ),
    "mounted and mocked transports": (
        """
mock = httpx.MockTransport(lambda request: httpx.Response(418))
async with httpx.AsyncClient(mounts={"all://mock.test": mock}) as client:
    mocked = await client.get("http://mock.test/")
    return [mocked.status_code, (await client.get(base)).status_code]
""",
        [418, 200],
    ),
    "no proxy, no socket, no address of its own": (
        """
said = []
for option in ({"proxy": base}, {"transport": 1}):
    try:
        if "proxy" in option:
            httpx.AsyncClient(**option)
        else:
            httpx.AsyncHTTPTransport(uds="/run/docker.sock")
    except ValueError as error:
        said.append(str(error))
return said
""",
        [
            "proxy= is not available: requests of a tool go through the broker",
            "uds= is not available: requests of a tool go through the broker",
        ],
    ),
}
