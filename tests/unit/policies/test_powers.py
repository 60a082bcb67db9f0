"""What is new in a version stands apart from what people approved before."""

from mcpbox.domain.manifests import Manifest, Needs
from mcpbox.domain.tools import ToolVersion
from mcpbox.policies.powers import Power, PowerNoun, powers_of
from tests.unit.ui.stub_api import a_request, a_version

OLD, NEW = "api.example.com", "hooks.example.net"


def version(number: int, *asks: tuple[str, str], secrets: tuple[str, ...] = ()) -> ToolVersion:
    """``asks``: methods and hosts, as they stand in the code."""
    lines = [f"    await http.{method}('https://{host}/')\n" for method, host in asks]
    code = f"async def main() -> None:\n{''.join(lines)}    return None\n"
    hosts = tuple(sorted({host for _, host in asks}))
    manifest = Manifest(hosts=hosts, secret_names=secrets)
    return a_version(code, number=number).model_copy(update={"manifest": manifest})


def names(powers: tuple[Power, ...]) -> list[str]:
    return [power.name for power in powers]


def test_a_first_version_is_all_new_and_a_host_is_named_once_with_its_methods() -> None:
    request = a_request(version(1, ("get", OLD), ("post", OLD), secrets=("KEY",)))
    request = request.model_copy(update={"needs": Needs(hosts=(OLD,))})

    found = powers_of(request)

    assert found is not None
    assert found.new == (
        Power(noun=PowerNoun.HOST, name=OLD, methods=("GET", "POST"), asked=True),
        Power(noun=PowerNoun.SECRET, name="KEY"),
    )
    assert (found.kept, found.dropped) == ((), ())


def test_a_later_version_shows_what_it_adds_apart_from_what_it_keeps_and_drops() -> None:
    before = version(1, ("get", OLD), ("get", "old.example.org"))
    request = a_request(version(2, ("get", OLD), ("post", OLD), ("get", NEW)), before)

    found = powers_of(request)

    assert found is not None
    assert names(found.new) == [NEW, f"POST {OLD}"]
    assert names(found.kept) == [OLD]
    assert names(found.dropped) == ["old.example.org"]


def test_something_to_judge_in_the_code_is_new_once_it_was_not_in_the_released_version() -> None:
    chosen = "async def main(to: str) -> None:\n    await http.get(to)\n"
    request = a_request(a_version(chosen, number=2), version(1))

    found = powers_of(request)
    again = powers_of(a_request(a_version(chosen, number=3), a_version(chosen, number=2)))

    assert found is not None
    assert again is not None
    assert names(found.new) == ["Host chosen at run time"]
    assert (again.new, names(again.kept)) == ((), ["Host chosen at run time"])
