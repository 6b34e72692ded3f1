"""Looking names up: on threads that nobody waits for, once for each name at a time."""

import asyncio
import socket
import threading
from ipaddress import ip_address

import pytest

from reconciler.notify.lookup import SystemLookup


def info(address):
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))


async def test_a_name_that_hangs_keeps_no_other_one_waiting_and_is_asked_for_once(monkeypatch):
    hang, asked = threading.Event(), []

    def ask(host, *args, **kwargs):
        asked.append(host)
        if host == "slow.example":
            assert hang.wait(20)
        return [info("1.1.1.1"), info("1.1.1.1"), info("1.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    lookup = SystemLookup()
    slow = [asyncio.create_task(lookup("slow.example")) for _ in range(40)]
    assert await lookup("fast.example") == [ip_address("1.1.1.1"), ip_address("1.0.0.1")]
    slow[0].cancel()
    hang.set()
    assert await slow[1] == await slow[39] == [ip_address("1.1.1.1"), ip_address("1.0.0.1")]
    assert asked.count("slow.example") == 1
    await lookup("slow.example")
    assert asked.count("slow.example") == 2


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long")])
async def test_a_name_without_addresses_is_an_error_of_the_system(monkeypatch, error):
    def ask(*args, **kwargs):
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    with pytest.raises(OSError):
        await SystemLookup()("nowhere.example")
