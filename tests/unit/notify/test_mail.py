"""Mail goes to addresses that were checked, over TLS, and is the same mail whenever it is written (rules 9b, 13b)."""

import asyncio
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from reconciler.notify.egress import Egress
from reconciler.notify.mail import Mail, Mailer, MailRefusedError, write_mail
from reconciler.notify.protocol import EgressRefusedError, NoAnswerError, NotifyError, RequestInvalidError, UnreachableError

MAIL = Mail("smtp.example.org", 587, "me@b.test", "", "p4ss", ("c@d.test",), "s", "b", "mark", datetime(2024, 5, 1, tzinfo=UTC))


class Network:
    """Names with their addresses, and a peer that says what it is told to."""

    def __init__(self, *addresses, says=b""):
        self.addresses, self.says, self.tried, self.heard = [ip_address(address) for address in addresses], says, [], b""

    async def lookup(self, host):
        return self.addresses

    async def connect(self, address, port, tls, host):
        self.tried.append((address, port, tls is not None, host))
        reader = asyncio.StreamReader()
        reader.feed_data(self.says)
        reader.feed_eof()
        return reader, self

    def write(self, data):
        self.heard += data

    def close(self):
        pass

    async def start_tls(self, tls, server_hostname):
        raise AssertionError("no TLS is spoken here")


def send(network, mail=MAIL, *openings, seconds=5.0):
    asyncio.run(Mailer(Egress(openings), lookup=network.lookup, connect=network.connect).send(mail, seconds))


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["10.0.0.1"], ["::1"], ["169.254.169.254"], ["1.1.1.1", "192.168.0.1"], ["::ffff:10.0.0.1"]])
def test_rule_13b_no_connection_is_tried_to_what_is_not_public(addresses):
    network = Network(*addresses)
    with pytest.raises(EgressRefusedError, match=r"--allow-egress smtp.example.org:587"):
        send(network)
    assert network.tried == []


def test_rule_13b_the_connection_goes_to_the_address_that_was_checked():
    network = Network("1.1.1.1")
    with pytest.raises(UnreachableError):
        send(network)
    with pytest.raises(UnreachableError):
        send(network, MAIL._replace(port=465))
    assert network.tried == [("1.1.1.1", 587, False, "smtp.example.org"), ("1.1.1.1", 465, True, "smtp.example.org")]


@pytest.mark.parametrize(
    ("says", "error"),
    [
        (b"220 here\r\n250 ok\r\n502 no\r\n", MailRefusedError),
        (b"220 here\r\n250 ok\r\n220 go\r\n250 injected\r\n", MailRefusedError),
        (b"554 no\r\n", MailRefusedError),
        (b"HTTP/1.1 200 OK\r\n", MailRefusedError),
        (b"250-more\r\n" * 1000, MailRefusedError),
        (b"x" * 100_000, UnreachableError),
        (b"220 here", UnreachableError),
    ],
)
def test_rule_12_nothing_of_the_password_is_said_before_tls_and_no_error_holds_what_the_server_said(says, error):
    network = Network("1.1.1.1", says=says)
    with pytest.raises(error) as raised:
        send(network)
    assert b"AUTH" not in network.heard
    assert isinstance(raised.value, NotifyError)
    assert "p4ss" not in str(raised.value)
    assert "injected" not in str(raised.value)


def test_a_server_that_says_nothing_costs_no_more_than_its_time():
    class Silent(Network):
        async def connect(self, address, port, tls, host):
            return asyncio.StreamReader(), self

    with pytest.raises(NoAnswerError, match=r"within 0.05 s"):
        send(Silent("1.1.1.1"), seconds=0.05)


def test_rule_9b_a_mail_is_the_same_to_the_byte_whenever_it_is_written():
    first = write_mail(MAIL._replace(subject="Grüße", alias="Zoë", body="a\n.b\n"))
    assert first == write_mail(MAIL._replace(subject="Grüße", alias="Zoë", body="a\n.b\n"))
    assert b"Message-ID: <mark@reconciler>" in first
    assert b"Date: Wed, 01 May 2024 00:00:00 +0000" in first


@pytest.mark.parametrize("wrong", [{"subject": "a\r\nBcc: x@y.test"}, {"address": "a\r\nb@c.test"}, {"to": ("a\r\nBcc: b@c.test",)}, {"address": ""}])
def test_a_header_that_is_none_is_never_sent(wrong):
    with pytest.raises(RequestInvalidError):
        write_mail(MAIL._replace(**wrong))
