"""Rule 13b for whatever is written: no spelling of an address gets by, and reading a URL never breaks."""

import ipaddress
import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.notify.addresses import describe_refused
from reconciler.notify.egress import Egress
from reconciler.notify.protocol import EgressRefusedError, NotifyError

EGRESS = Egress()
NETWORKS = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
]
INSIDE = st.sampled_from(NETWORKS).flatmap(lambda network: st.ip_addresses(network=network))


@st.composite
def spelled(draw):
    """An IPv4 address as inet_aton(3) takes it: one to four numbers, each decimal, octal or hexadecimal, the last one for all that is left."""
    address = draw(INSIDE)
    count = draw(st.integers(1, 4))
    parts = [*address.packed[: count - 1], int.from_bytes(address.packed[count - 1 :])]
    written = [draw(st.sampled_from((str(part), f"0{part:o}", f"0x{part:x}", f"0X{part:X}", f"0x{part:08x}"))) for part in parts]
    text = ".".join(written)
    assert socket.inet_aton(text) == address.packed
    return text + draw(st.sampled_from(("", ".")))


@given(host=spelled(), rest=st.sampled_from(("", "/", ":80/", ":8080/x?y#z")), scheme=st.sampled_from(("http", "https", "HTTP")))
def test_rule_13b_no_spelling_of_an_address_gets_by(host, rest, scheme):
    with pytest.raises(EgressRefusedError):
        EGRESS.read(f"{scheme}://{host}{rest}")


@given(address=INSIDE, prefix=st.sampled_from(("::ffff:", "::", "64:ff9b::", "2002:")))
def test_rule_13b_no_address_of_version_6_stands_for_one_that_is_refused(address, prefix):
    high, low = address.packed[:2].hex(), address.packed[2:].hex()
    text = f"2002:{high}:{low}::" if prefix == "2002:" else f"{prefix}{high}:{low}"
    for host in (text, str(ipaddress.ip_address(text)), f"{text}%25eth0"):
        with pytest.raises(EgressRefusedError):
            EGRESS.read(f"http://[{host}]/")


URLS = st.text(max_size=40) | st.builds("http://{}".format, st.text("0123456789.xX:[]%abcf@/?#\\ \t１。٣", max_size=24))


@given(text=URLS)
@example("http://１２７。0.0.1/")
@example("http://127.0.0.1\t/")
@example("http://0x7f.0.0.1\\@example.org/")
@example("http://example.org@127.0.0.1/")
def test_rule_13b_a_url_is_refused_or_leads_to_a_name_or_a_public_address(text):
    try:
        url = EGRESS.read(text)
    except NotifyError:
        return
    assert url.scheme in ("http", "https")
    host = url.raw_host or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        with pytest.raises(OSError):
            socket.inet_aton(host.removesuffix("."))
    else:
        assert describe_refused(address) == ""
