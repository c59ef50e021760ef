"""Broker URLs and connections: what a person may write."""

from __future__ import annotations

from pathlib import Path

import pytest
from enclaved.errors import ConfigurationError
from enclaved.mqtt.addresses import BrokerAddress, Scheme, parse_broker_url
from enclaved.mqtt.transport import Connection, Tls
from enclaved.mqtt.transports import open_transport


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://localhost", BrokerAddress(scheme=Scheme.MQTT, host="localhost", port=1883)),
        ("mqtt://host:1884/", BrokerAddress(scheme=Scheme.MQTT, host="host", port=1884)),
        ("mqtts://host", BrokerAddress(scheme=Scheme.MQTTS, host="host", port=8883)),
        ("ws://host", BrokerAddress(scheme=Scheme.WS, host="host", port=80, path="/mqtt")),
        ("wss://host:444/x/y", BrokerAddress(scheme=Scheme.WSS, host="host", port=444, path="/x/y")),
        ("mqtt://[::1]:1885", BrokerAddress(scheme=Scheme.MQTT, host="::1", port=1885)),
        ("unix:/run/a%20b.sock", BrokerAddress(scheme=Scheme.UNIX, path="/run/a b.sock")),
        ("unix:///run/b.sock", BrokerAddress(scheme=Scheme.UNIX, path="/run/b.sock")),
    ],
)
def test_urls_of_brokers(url: str, address: BrokerAddress) -> None:
    """Every scheme, with its usual port."""
    assert parse_broker_url(url) == address


@pytest.mark.parametrize("url", ["mqtt://h:1883", "wss://h:443/mqtt", "unix:/run/b.sock", "mqtt://[::1]:1883"])
def test_an_address_is_shown_as_it_is_written(url: str) -> None:
    """What a message shows can be given back."""
    assert parse_broker_url(url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "localhost:1883",
        "http://host",
        "mqtt://",
        "mqtt://:1883",
        "mqtt://host:0",
        "mqtt://host:65536",
        "mqtt://host:port",
        "mqtt://host/path",
        "mqtt://host?x=1",
        "mqtt://host#x",
        "unix:relative.sock",
        "unix://host/a.sock",
        "mqtt://[::1",
    ],
)
def test_what_is_no_brokers_url_is_refused(url: str) -> None:
    """With an error that says what to write."""
    with pytest.raises(ConfigurationError) as refused:
        parse_broker_url(url)

    assert refused.value.remedy


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    """URLs end in process lists and logs."""
    with pytest.raises(ConfigurationError) as refused:
        parse_broker_url("mqtt://user:hunter2@host")

    assert "hunter2" not in str(refused.value)


def test_a_connection_does_not_show_its_password() -> None:
    """Its text ends in logs."""
    connection = Connection(address=parse_broker_url("mqtt://h"), client_id="c", username="u", password="hunter2")

    assert "hunter2" not in repr(connection)


@pytest.mark.parametrize(
    "turned",
    [
        {"client_id": ""},
        {"client_id": "a\0b"},
        {"keep_alive_s": 0},
        {"keep_alive_s": 70_000},
        {"password": "x"},
        {"tls": Tls()},
    ],
)
def test_a_connection_that_cannot_be_meant_is_refused(turned: dict[str, object]) -> None:
    """TLS options on a plain address above all: it would look encrypted."""
    good: dict[str, object] = {"address": parse_broker_url("mqtt://h"), "client_id": "c"}
    with pytest.raises(ConfigurationError):
        Connection(**{**good, **turned})  # type: ignore[arg-type]


def test_a_key_without_a_certificate_is_refused() -> None:
    """One is useless without the other."""
    with pytest.raises(ConfigurationError):
        Tls(certkey=Path("key.pem"))


def test_an_unknown_transport_is_refused() -> None:
    """With the names of those that there are."""
    with pytest.raises(ConfigurationError, match="aiomqtt"):
        open_transport("carrier-pigeon")
