import socket

import pytest

from cli.ports import NeededPort, require_free
from mcpbox.domain.errors import Conflict, Invalid


def a_port(number: int, setting: str = "MCPBOX_GATEWAY_PORT") -> NeededPort:
    return NeededPort("127.0.0.1", number, setting, "the gateway")


def test_a_port_in_use_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        with pytest.raises(Conflict, match=rf"Port {number} .*MCPBOX_GATEWAY_PORT"):
            require_free([a_port(number)])


def test_a_port_that_was_just_given_back_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        with socket.create_connection(("127.0.0.1", number)):
            accepted, _ = other.accept()
            accepted.close()  # leaves the port in TIME_WAIT
    require_free([a_port(number)])


def test_a_port_wanted_twice_names_both_settings() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
    with pytest.raises(Conflict, match="MCPBOX_GATEWAY_PORT and by MCPBOX_ADMIN_PORT"):
        require_free([a_port(number), a_port(number, "MCPBOX_ADMIN_PORT")])


@pytest.mark.parametrize("host", ["not an address", "192.0.2.7"])
def test_an_address_that_is_not_ours_names_the_setting(host: str) -> None:
    with pytest.raises(Invalid, match=r"MCPBOX_BIND_HOST"):
        require_free([NeededPort(host, 18299, "MCPBOX_GATEWAY_PORT", "the gateway")])
