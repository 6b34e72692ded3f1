"""Which addresses are public, and what a resolver would take for an address."""

import ipaddress

import pytest

from reconciler.notify.addresses import describe_refused, read_literal

REFUSED = {
    "0.0.0.0": "an unspecified",
    "0.1.2.3": "an unspecified",
    "10.255.255.255": "a private",
    "100.64.0.1": "a carrier's shared (CGNAT)",
    "100.100.100.200": "a carrier's shared (CGNAT)",
    "127.255.0.1": "a loopback",
    "168.63.129.16": "a metadata",
    "169.254.169.254": "a link-local",
    "172.16.0.1": "a private",
    "172.31.255.255": "a private",
    "192.0.0.8": "a reserved",
    "192.0.2.1": "a documentation",
    "192.88.99.1": "a 6to4",
    "192.168.1.1": "a private",
    "198.19.255.255": "a benchmarking",
    "224.0.0.1": "a multicast",
    "239.255.255.255": "a multicast",
    "255.255.255.255": "a reserved",
    "::": "an unspecified",
    "::1": "a loopback",
    "::7f00:1": "an IPv4-compatible",
    "::ffff:127.0.0.1": "an IPv4-mapped",
    "::ffff:8.8.8.8": "an IPv4-mapped",
    "64:ff9b::7f00:1": "a NAT64",
    "64:ff9b:1::1": "a NAT64",
    "100::1": "a reserved",
    "2001::1": "a Teredo",
    "2001:20::1": "a reserved",
    "2001:db8::1": "a documentation",
    "2002:7f00:1::": "a 6to4",
    "3fff::1": "a documentation",
    "4000::1": "a reserved",
    "fc00::1": "a unique local",
    "fd00:ec2::254": "a unique local",
    "fe80::1": "a link-local",
    "fec0::1": "a site-local",
    "ff02::1": "a multicast",
}
PUBLIC = ("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "172.15.255.255")
PUBLIC += ("172.32.0.0", "192.167.255.255", "223.255.255.255", "2001:200::1", "2606:4700::1111", "2a00::1", "3ffe::1")


@pytest.mark.parametrize(("text", "kind"), REFUSED.items())
def test_rule_13b_an_address_that_is_not_public_is_refused_by_its_kind(text, kind):
    assert describe_refused(ipaddress.ip_address(text)) == kind


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_let_through(text):
    assert describe_refused(ipaddress.ip_address(text)) == ""


@pytest.mark.parametrize("text", [*REFUSED, *PUBLIC])
def test_nothing_that_the_standard_library_calls_private_is_let_through(text):
    address = ipaddress.ip_address(text)
    assert describe_refused(address) or (address.is_global and not address.is_multicast)


@pytest.mark.parametrize(
    "spelling",
    ["127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.0.0.1.", "0X7F.0.0.0x1"],
)
def test_rule_13b_an_address_is_read_in_every_spelling(spelling):
    assert read_literal(spelling) == ipaddress.ip_address("127.0.0.1")


@pytest.mark.parametrize(
    ("spelling", "address"), [("::1", "::1"), ("0:0::1", "::1"), ("::ffff:7f00:1", "::ffff:127.0.0.1"), ("fe80::1%eth0", "fe80::1")]
)
def test_an_address_of_version_6_is_read_without_its_zone(spelling, address):
    assert read_literal(spelling) == ipaddress.ip_address(address)


@pytest.mark.parametrize("host", ["127.0.0.256", "1.2.3.4.5", "99999999999", "a.1", "0x7f.0x1g.0x1", ":::", "08.1.1.1"])
def test_what_only_looks_like_an_address_is_an_error(host):
    with pytest.raises(ValueError, match="looks like an address"):
        read_literal(host)


@pytest.mark.parametrize("host", ["localhost", "example.org", "1.example.org", "face", "0xyz.example", "x1", "10.0.0.1.nip.io"])
def test_a_name_is_none(host):
    assert read_literal(host) is None
