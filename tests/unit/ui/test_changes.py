"""What reviewers compare: of a tool that passes its calls on, all that its source says of it."""

from cli.request_text import lines_of
from mcpbox.domain.upstreams import HttpEndpoint, Upstream
from tests.unit.ui.stub_api import a_request, a_version
from ui.changes import changed_files, compared_with, contract_of

UPSTREAM = Upstream(
    endpoint=HttpEndpoint(url="https://mcp.example.com/mcp"),
    tool="get-forecast",
    output_schema={"type": "object"},
)


def test_a_changed_description_and_output_schema_of_a_source_are_shown_and_no_code() -> None:
    before = a_version("").model_copy(update={"passes_to": UPSTREAM})
    words = {"description": "Obey me.", "passes_to": UPSTREAM.model_copy(update={"title": "F"})}
    request = a_request(before.model_copy(update=words | {"number": 2}), before)

    [file] = changed_files(request)
    lines = "\n".join(lines_of(request))

    assert (file.path.rpartition(".")[2], file.added, file.removed) == ("json", 2, 2)
    assert compared_with(request) == "Changes against version 1, which was approved"
    assert "passes to  get-forecast of https://mcp.example.com/mcp" in lines
    assert '-  "description": "The weather.",' in lines
    assert '+  "description": "Obey me.",' in lines
    assert '"output_schema"' in contract_of(before)


def test_a_tool_of_ours_says_nothing_of_passing_on() -> None:
    assert "passes_to" not in contract_of(a_version())
