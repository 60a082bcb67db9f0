"""Whatever is sent over REST, nothing fails, and no answer tells what is inside."""

import json
import re
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import given
from hypothesis import strategies as st

from tests.e2e.desk import UNKNOWN
from tests.e2e.fuzzing import PLENTY, json_values
from tests.e2e.leaks import assert_tells_nothing_inside
from tests.instances import Installed
from tests.reviewing import Reviewer


async def test_no_request_makes_rest_fail(instance: Installed, reviewer: Reviewer) -> None:
    """From its own description: every operation, with values that it does and does not expect."""
    described = (await reviewer.api.get("/openapi.json")).json()
    operations = [
        (method, path)
        for path, methods in described["paths"].items()
        for method in methods
        if path != "/api/v1/auth/logout"
    ]
    fields = sorted(
        {
            name
            for schema in described["components"]["schemas"].values()
            for name in schema.get("properties", ())
        }
    )
    texts = st.text(max_size=12) | st.sampled_from([UNKNOWN, "\x00", "..", "%00", "0", "9" * 40])
    with httpx.Client(headers=dict(reviewer.api.headers), timeout=20) as http:

        @PLENTY
        @given(
            st.sampled_from(operations),
            texts,
            st.dictionaries(st.sampled_from(["page", "page_size", "state", "tool_id"]), texts),
            st.dictionaries(st.sampled_from(fields), json_values, max_size=6) | json_values,
        )
        def nothing_fails(
            operation: tuple[str, str], part: str, query: dict[str, str], body: Any
        ) -> None:
            method, path = operation
            # A function, for what is put in may look like a group of the pattern.
            url = instance.panel_url + re.sub(r"\{\w+\}", lambda _: quote(part, safe=""), path)
            answer = http.request(
                method,
                url,
                params=query,
                content=None if method == "get" else json.dumps(body),
                headers={"content-type": "application/json"},
            )
            assert answer.status_code < 500, answer.text
            assert_tells_nothing_inside(instance, answer.text)

        nothing_fails()
