"""Which addresses are of the open internet, so that a callback may go there. Knows no names and no URLs."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's own server for its machines: a public address that stays inside
        "192.0.0.0/24",  # IETF protocol assignments, such as port control by anycast: RFC 6890, 7723
        "192.88.99.0/24",  # relays of 6to4, whatever is next: RFC 7526
        "64:ff9b:1::/48",  # IPv4 by a local gateway, private addresses too: RFC 8215
        "100::/32",  # addresses that lead nowhere: RFC 6666, 9780
        "2001:1::/32",  # port control and other anycast: RFC 7723, 8155
        "2001:20::/28",  # names of hosts, not their places: RFC 7343
        "3fff::/20",  # documentation: RFC 9637
        "5f00::/16",  # segments inside a network: RFC 9602
        "fec0::/10",  # site-local: RFC 3879
    )
)
"""What `ipaddress.is_global` lets through, all of it or in some versions of Python."""

_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)
"""The upper half of an interface's part that ends in an IPv4 address: RFC 5214."""


def is_public(address: str) -> bool:
    """Whether it is an address of the open internet, and so is any that is written inside it."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        if (translated := _translated(ip)) is not None:
            return is_public(str(translated))
        if (int(ip) >> 32) & 0xFFFFFFFF in _ISATAP and not is_public(str(_last(ip))):
            return False
    if any(ip in network for network in NOT_PUBLIC if network.version == ip.version):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _translated(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a gateway, or this machine, would make of it."""
    if ip in _NAT64 or ip in _COMPATIBLE:
        return _last(ip)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def _last(ip: IPv6Address) -> IPv4Address:
    return IPv4Address(int(ip) & 0xFFFFFFFF)
