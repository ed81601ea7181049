"""Which addresses a probe may ask, whatever a name server says."""

from ipaddress import ip_address

import pytest

from previews.adapters.probe_addresses import AddressRules

PUBLIC = AddressRules(private=False, loopback=False)
HERE = AddressRules(private=False, loopback=True)
PRIVATE = AddressRules(private=True, loopback=False)
ALL = (PUBLIC, HERE, PRIVATE)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "255.255.255.255",
        "240.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)
def test_some_are_never_asked(address: str) -> None:
    assert all(rules.refuses(ip_address(address)) for rules in ALL)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "100.64.0.1",
        "198.18.0.1",
        "fd12:3456::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
    ],
)
def test_private_ones_are_asked_only_where_that_is_allowed(address: str) -> None:
    found = [rules.refuses(ip_address(address)) for rules in ALL]
    assert found == [True, True, False]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_asked_by_a_zone_that_lies_here_as_well(address: str) -> None:
    found = [rules.refuses(ip_address(address)) for rules in ALL]
    assert found == [True, False, False]


@pytest.mark.parametrize("address", ["1.1.1.1", "140.82.112.3", "2606:4700::1111"])
def test_public_ones_are_always_asked(address: str) -> None:
    assert not any(rules.refuses(ip_address(address)) for rules in ALL)
