"""Which IP addresses the broker may connect to.

Our own table: older Pythons answer ``is_global`` wrongly (CVE-2024-4032).
"""

import ipaddress

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(text: str) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(part) for part in text.split())


_NOT_PUBLIC = _networks("""
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24
    198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 100.100.100.200/32 168.63.129.16/32
    ::/96 ::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16
    3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8
""")

_PRIVATE = _networks("""
    10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 172.16.0.0/12 192.168.0.0/16 ::1/128 fc00::/7
""")

_METADATA = _networks("100.100.100.200/32 168.63.129.16/32 fd00:ec2::254/128 fd20:ce::254/128")
"""Cloud metadata services: never reached, not even as an allowed private host."""


def is_public(address: str) -> bool:
    """An IPv4 address inside an IPv6 one is never fit: no honest name server needs that form."""
    ip = _plain(address)
    return not _in(ip, _NOT_PUBLIC) and ip.is_global and not ip.is_multicast


def is_allowed_private(address: str) -> bool:
    """Fit for a host that the operator allows to be private."""
    ip = _plain(address)
    return _in(ip, _PRIVATE) and not _in(ip, _METADATA)


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(address.partition("%")[0])


def _in(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: tuple[_Network, ...]) -> bool:
    return any(ip.version == network.version and ip in network for network in networks)
