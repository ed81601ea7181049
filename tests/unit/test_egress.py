"""What previews may reach: the Internet, and of private networks what their project opens."""

import dataclasses
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from pydantic import ValidationError

from previews.domain.egress import Opening
from previews.egress_settings import EgressSettings
from tests.unit.rendering import PROJECT, namespace_objects, render


def rules(*openings: Opening) -> list[dict[str, Any]]:
    """The ways out of a preview's namespace."""
    project = dataclasses.replace(PROJECT, egress=openings)
    policy = namespace_objects(render(project=project))["NetworkPolicy"]["spec"]
    found: list[dict[str, Any]] = policy["egress"]
    return found


def is_open(address: str) -> bool:
    """Whether a pod of a preview may begin a connection to it, on any port."""
    blocks = [to["ipBlock"] for rule in rules() for to in rule.get("to", []) if "ipBlock" in to]
    return any(
        ip_address(address) in ip_network(block["cidr"])
        and not any(ip_address(address) in ip_network(inside) for inside in block["except"])
        for block in blocks
    )


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1"),
        *("100.64.0.1", "169.254.169.254", "fd00:ec2::254", "fc00::1", "fe80::1"),
    ],
)
def test_private_networks_are_closed(address: str) -> None:
    assert not is_open(address)


@pytest.mark.parametrize(
    "address",
    ["9.9.9.9", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "2620:fe::fe"],
)
def test_the_internet_is_open(address: str) -> None:
    assert is_open(address)


def test_name_servers_and_the_previews_own_namespace_are_reached_wherever_they_are() -> None:
    assert {"to": [{"podSelector": {}}]} in rules()
    asked = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    assert {"ports": asked} in rules()


def test_a_project_opens_private_places_by_port() -> None:
    opened = rules(
        Opening(cidr="10.20.0.5/32", ports=(5432, 5433)),
        Opening(namespace="search", ports=(9200,)),
    )
    assert opened[:-2] == rules()
    named = {"matchLabels": {"kubernetes.io/metadata.name": "search"}}
    assert opened[-2:] == [
        {
            "to": [{"ipBlock": {"cidr": "10.20.0.5/32"}}],
            "ports": [{"protocol": "TCP", "port": 5432}, {"protocol": "TCP", "port": 5433}],
        },
        {
            "to": [{"namespaceSelector": named}],
            "ports": [{"protocol": "TCP", "port": 9200}],
        },
    ]


def test_a_place_is_read_from_the_configuration() -> None:
    read = [
        EgressSettings.model_validate(each).opening()
        for each in (
            {"cidr": "10.20.0.5/32", "ports": [5432]},
            {"cidr": "fd00::5", "ports": [5432]},
            {"namespace": "search", "ports": [9200, 9300]},
        )
    ]
    assert read == [
        Opening(cidr="10.20.0.5/32", ports=(5432,)),
        Opening(cidr="fd00::5/128", ports=(5432,)),
        Opening(namespace="search", ports=(9200, 9300)),
    ]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"ports": [5432]}, "needs either cidr or namespace"),
        ({"cidr": "10.0.0.0/8", "namespace": "a", "ports": [1]}, "needs either cidr or namespace"),
        ({"cidr": "10.20.0.5/24", "ports": [1]}, "is no network such as 10.20.0.5/32"),
        ({"cidr": "db.internal", "ports": [1]}, "is no network such as 10.20.0.5/32"),
        ({"cidr": "10.20.0.5/32"}, "Field required"),
        ({"cidr": "10.20.0.5/32", "ports": []}, "at least 1 item"),
        ({"cidr": "10.20.0.5/32", "ports": [0]}, "greater than or equal to 1"),
        ({"namespace": "A b", "ports": [1]}, "must be lower-case letters"),
    ],
)
def test_a_place_that_is_none_is_refused(place: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        EgressSettings.model_validate(place)
