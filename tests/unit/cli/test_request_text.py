"""A request on the command line: what is new stands first."""

from cli.request_text import lines_of
from mcpbox.domain.manifests import Manifest
from tests.unit.ui.stub_api import a_request, a_version

CODE = "async def main() -> None:\n    await http.post('https://hooks.example.net/')\n"


def test_what_is_new_stands_apart_from_what_was_approved_before() -> None:
    before = a_version(number=1).model_copy(update={"manifest": Manifest(modules=("json",))})
    manifest = Manifest(hosts=("hooks.example.net",), modules=("json",))
    after = a_version(CODE, number=2).model_copy(update={"manifest": manifest})

    lines = list(lines_of(a_request(after, before)))

    assert "new        host hooks.example.net (POST)" in lines
    assert "as before  module json" in lines
