"""A plugin's requests: which of them the host makes, where they lead, and how they end."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from domain.network import NetworkOutcome
from plugins.core import network as network_module
from plugins.core.failures import PluginFailure
from plugins.core.network import BODY_LIMIT, REDIRECT_LIMIT
from tests.plugins.asking import Asking
from tests.plugins.web import Web, web_server

# What is allowed


async def test_a_host_that_contract_and_policy_name_is_asked(asking: Asking, web: Web) -> None:
    await asking.start([web.here])
    url = f"http://{web.here}/echo"
    answer = await asking.call("get", url=url, method="POST", body="hello", headers={"X-Key": "k"})
    assert (answer["status"], answer["url"]) == (200, url)
    assert json.loads(answer["text"]) == {"method": "POST", "path": "/echo", "body": "hello"}
    assert answer["headers"]["content-type"] == "application/json"
    (seen,) = web.seen
    assert (seen.headers["host"], seen.headers["x-key"]) == (web.here, "k")
    assert "cookie" not in seen.headers


async def test_an_async_method_awaits_its_requests(asking: Asking, web: Web) -> None:
    await asking.start([web.here])
    assert await asking.call("get_async", url=f"http://{web.here}/echo") == {"status": 200}


async def test_an_answer_of_any_status_is_an_answer(asking: Asking, web: Web) -> None:
    await asking.start([web.here])
    assert (await asking.call("get", url=f"http://{web.here}/lost"))["status"] == 404


async def test_what_is_not_text_arrives_as_it_is(asking: Asking, web: Web) -> None:
    await asking.start([web.here])
    text = "ünï\n\0"
    answer = await asking.call("get", url=f"http://{web.here}/echo", method="PUT", body=text)
    assert json.loads(answer["text"])["body"] == text


# What is refused


async def test_a_port_or_a_host_that_the_contract_does_not_name_is_refused(asking: Asking, web: Web) -> None:
    await asking.start([web.here], ["*:*"])
    assert "127.0.0.1:1 is not in security_profile.network_hosts" in await asking.refusal("http://127.0.0.1:1/")
    assert "example.org:443 is not in" in await asking.refusal("https://example.org/")
    assert "localhost" in await asking.refusal(f"http://localhost:{web.port}/")
    assert web.seen == []


async def test_a_host_that_the_policy_does_not_allow_is_refused(asking: Asking, web: Web) -> None:
    await asking.start([web.here], [])
    text = await asking.refusal(f"http://{web.here}/echo")
    assert text == f"The setting security.network_hosts does not allow {web.here}."
    assert web.seen == []


async def test_a_pattern_of_the_policy_does_not_open_the_houses_own_addresses(asking: Asking, web: Web) -> None:
    await asking.start([web.here], ["*:*"])
    assert "must both name" in await asking.refusal(f"http://{web.here}/echo")
    assert web.seen == []


async def test_a_name_that_leads_to_loopback_is_refused(asking: Asking, web: Web) -> None:
    await asking.start([f"localhost:{web.port}"])
    text = await asking.refusal(f"http://localhost:{web.port}/echo")
    assert "localhost leads to" in text
    assert "is no public address" in text
    assert web.seen == []


async def test_a_name_that_leads_to_an_address_which_both_name_is_asked(asking: Asking, web: Web) -> None:
    addresses = {str(entry[4][0]) for entry in socket.getaddrinfo("localhost", None)}
    await asking.start(
        [f"localhost:{web.port}", *(f"[{one}]:{web.port}" if ":" in one else f"{one}:{web.port}" for one in addresses)]
    )
    assert (await asking.call("get", url=f"http://localhost:{web.port}/echo"))["status"] == 200
    assert web.seen[0].headers["host"] == f"localhost:{web.port}"


async def test_the_address_that_was_judged_is_the_one_that_is_connected_to(
    asking: Asking, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = []

    async def rebinding(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["192.0.2.1"] if len(looked_up) > 1 else ["127.0.0.1"]

    monkeypatch.setattr(network_module, "addresses_of", rebinding)
    await asking.start([f"names.test:{web.port}", web.here])
    assert (await asking.call("get", url=f"http://names.test:{web.port}/echo"))["status"] == 200
    assert looked_up == ["names.test"]
    assert web.seen[0].headers["host"] == f"names.test:{web.port}"


@pytest.mark.parametrize(("its_name", "outcome"), [("names.test", "200"), ("other.test", "ConnectionError")])
async def test_a_name_has_to_be_proved_at_the_address_it_leads_to(
    asking: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, its_name: str, outcome: str
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    openssl(certificate, key, its_name)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def leads_here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(network_module, "addresses_of", leads_here)
    async with web_server(context) as web:
        await asking.start([f"names.test:{web.port}", web.here])
        answer = await asking.call("error_of", url=f"https://names.test:{web.port}/echo")
    assert str(answer.get("type", "200")) == outcome


@pytest.mark.parametrize("header", ["Host", "transfer-encoding", "Content-Length", "Proxy-Authorization"])
async def test_headers_that_say_whom_the_host_talks_to_are_the_hosts(asking: Asking, web: Web, header: str) -> None:
    await asking.start([web.here])
    assert header in await asking.refusal(f"http://{web.here}/echo", headers={header: "other"})
    assert web.seen == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://user:secret@127.0.0.1/", "nothing"])
async def test_only_plain_web_addresses_can_be_asked_for(asking: Asking, web: Web, url: str) -> None:
    await asking.start([web.here, "127.0.0.1:80"])
    answer = await asking.call("error_of", url=url)
    assert answer["type"] in {"PermissionError", "ConnectionError"}


@pytest.mark.parametrize(
    "more", [{"method": "CONNECT"}, {"timeout": 0}, {"timeout": 1e9}, {"headers": {"a": 1}}, {"headers": {"a\n": "b"}}]
)
async def test_a_request_that_cannot_be_made_is_told(asking: Asking, web: Web, more: dict[str, Any]) -> None:
    await asking.start([web.here])
    answer = await asking.call("error_of", url=f"http://{web.here}/echo", **more)
    assert answer["type"] in {"PermissionError", "ConnectionError"}
    assert web.seen == []


async def test_a_plugin_that_names_no_host_has_no_network(asking: Asking, web: Web) -> None:
    await asking.start([])
    with pytest.raises(PluginFailure) as caught:
        await asking.call("get", url=f"http://{web.here}/echo")
    assert "fetch" in caught.value.message
    await asking.call("ask_for", call="made up", url=f"http://{web.here}/echo")
    assert await asking.call("without", url="") == {"given": False}
    assert web.seen == []


async def test_a_request_for_no_call_is_refused(asking: Asking, web: Web) -> None:
    await asking.start([web.here])
    await asking.call("ask_for", call="made up", url=f"http://{web.here}/echo")
    assert await asking.call("without", url="") == {"given": False}
    assert web.seen == []


# Redirects


async def test_a_redirect_within_the_list_is_followed(asking: Asking, web: Web) -> None:
    await asking.start([web.here])
    answer = await asking.call("get", url=f"http://{web.here}/again", method="POST", body="kept")
    assert json.loads(answer["text"]) == {"method": "POST", "path": "/echo", "body": "kept"}
    assert answer["url"].endswith("/echo")


async def test_a_redirect_to_a_host_that_is_not_listed_is_refused(asking: Asking, web: Web) -> None:
    async with web_server() as other:
        web.elsewhere = f"http://{other.here}/echo"
        await asking.start([web.here])
        assert f"{other.here} is not in" in await asking.refusal(f"http://{web.here}/elsewhere")
        assert other.seen == []
    assert asking.told[-1].destinations == (web.here, other.here)
    assert asking.told[-1].outcome is NetworkOutcome.REFUSED


async def test_what_is_sent_on_for_ever_is_given_up(asking: Asking, web: Web) -> None:
    await asking.start([web.here])
    assert f"more than {REDIRECT_LIMIT} times" in await asking.refusal(f"http://{web.here}/round")
    assert len(web.seen) == REDIRECT_LIMIT + 1


# Limits


async def test_a_body_without_end_is_cut_off(asking: Asking, web: Web) -> None:
    await asking.start([web.here])
    assert f"more than {BODY_LIMIT} bytes" in await asking.refusal(f"http://{web.here}/flood")
    assert (await asking.call("get", url=f"http://{web.here}/echo"))["status"] == 200


async def test_a_body_that_is_too_big_is_not_sent(asking: Asking, web: Web) -> None:
    await asking.start([web.here])
    big = "x" * (BODY_LIMIT + 1)
    assert f"more than {BODY_LIMIT} bytes" in await asking.refusal(f"http://{web.here}/echo", method="POST", body=big)
    assert web.seen == []


@pytest.mark.parametrize("path", ["drip", "silence"])
async def test_a_slow_answer_is_a_timeout(asking: Asking, web: Web, path: str) -> None:
    await asking.start([web.here])
    answer = await asking.call("error_of", url=f"http://{web.here}/{path}", timeout=0.3)
    assert answer == {"type": "TimeoutError", "text": "There was no whole answer within 0.3 seconds."}
    assert asking.told[-1].outcome is NetworkOutcome.TIMEOUT
    await web.closed()


async def test_nobody_there_is_a_connection_error(asking: Asking) -> None:
    await asking.start(["127.0.0.1:9"])
    answer = await asking.call("error_of", url="http://127.0.0.1:9/")
    assert answer["type"] == "ConnectionError"
    assert asking.told[-1].outcome is NetworkOutcome.FAILED


# What is told


async def test_every_request_is_told_without_path_and_content(asking: Asking, web: Web) -> None:
    await asking.start([web.here])
    await asking.call("get", url=f"http://{web.here}/echo?key=secret", method="POST", body="12345")
    (told,) = asking.told
    assert (told.plugin, told.method, told.status, told.sent_bytes) == ("calculator@1.0.0", "POST", 200, 5)
    assert told.destinations == (web.here,)
    assert told.outcome is NetworkOutcome.ANSWERED
    assert told.received_bytes > 0
    assert 0 < told.seconds < 20
    assert "secret" not in told.model_dump_json()


def openssl(certificate: Path, key: Path, name: str) -> None:
    """Write a certificate that is its own authority."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not here: apt-get install openssl")
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    files = ["-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([program, *made, *files], check=True, capture_output=True)
