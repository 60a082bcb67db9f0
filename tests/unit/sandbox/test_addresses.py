import pytest

from sandbox.addresses import is_allowed_private, is_public

METADATA = ["169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254"]
HOME = ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "::1", "fd12::1", "100.64.0.1"]
NOWHERE = [
    *("0.0.0.0", "255.255.255.255", "224.0.0.1", "192.0.2.1", "198.18.0.1", "240.0.0.1"),  # noqa: S104
    *(
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "2001:db8::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ),
]


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111"])
def test_public(address: str) -> None:
    assert is_public(address)
    assert not is_allowed_private(address)


@pytest.mark.parametrize("address", [*METADATA, *HOME, *NOWHERE])
def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254"])
def test_mapped_addresses_are_what_they_map(address: str) -> None:
    assert not is_public(f"::ffff:{address}")


@pytest.mark.parametrize("address", HOME)
def test_an_allowed_host_may_be_at_home(address: str) -> None:
    assert is_allowed_private(address)


@pytest.mark.parametrize("address", [*METADATA, *NOWHERE])
def test_not_even_an_allowed_host_may_be_a_metadata_service(address: str) -> None:
    assert not is_allowed_private(address)
