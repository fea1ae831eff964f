"""What the connections do with proxies, certificates, addresses and files."""

from __future__ import annotations

import resource
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from stages.core.errors import UserError
from stages.engines import calling
from stages.engines.prices import Price
from stages.engines.reply import Halt
from stages.engines.store import Store
from stages.engines.terms import Flow
from stages.engines.wire import Unreached, place
from tests.engines.teacher_server import Teacher, asks, engine, failed, run

PRICE = Price(1.0, 1.0, "stated")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("TUTELAGE_KEY", "sk-planted")
    # a login that another program keeps for every host
    (tmp_path / "netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def test_the_proxy_of_the_environment_is_used(
    teacher: Teacher, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://me:pass@127.0.0.1:{teacher.port}")
    to = engine("http://teacher.invalid/v1", key_env="TUTELAGE_KEY")
    assert run(store, to, asks(3), PRICE, 1.0).generated == 3
    assert teacher.calls == 3
    head = teacher.heads[0].decode()
    assert head.startswith("POST http://teacher.invalid/v1/chat/completions HTTP/1.1")
    assert [line for line in head.split("\r\n") if "uthorization" in line] == [
        "Authorization: Bearer sk-planted",
        "Proxy-Authorization: Basic bWU6cGFzcw==",
    ]


def test_a_proxy_may_be_named_without_a_scheme(
    teacher: Teacher, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{teacher.port}")
    to = engine("http://teacher.invalid/v1", key_env="TUTELAGE_KEY")
    run(store, to, asks(1), PRICE, 1.0)
    assert "Proxy-Authorization" not in teacher.heads[0].decode()


def test_hosts_that_no_proxy_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "teacher.invalid")
    assert calling._proxy("http://teacher.invalid/v1") is None
    assert calling._proxy("https://other.invalid/v1") is None
    assert calling._proxy("http://other.invalid/v1") == "http://127.0.0.1:1"


def test_a_server_on_this_machine_is_reached_without_a_proxy(
    teacher: Teacher, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    run(store, engine(teacher), asks(1))
    assert teacher.heads[0].startswith(b"POST /v1/chat/completions HTTP/1.1")


@pytest.mark.usefixtures("impatient")
def test_a_proxy_that_does_not_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://me:pass@127.0.0.1:1")
    to = engine("http://teacher.invalid/v1", key_env="TUTELAGE_KEY", outage=0.2)
    with pytest.raises(UserError) as caught:
        run(store, to, asks(1), PRICE, 1.0)
    assert str(caught.value) == (
        "http://teacher.invalid/v1: E606 no answer for 0 s (Connection refused)\n"
        "    hint: 0 answers were stored: see to the server or wait and run `dvc repro` again to "
        "go on"
    )
    assert store.spent() == 0


@pytest.mark.usefixtures("impatient")
def test_a_name_that_is_none(store: Store) -> None:
    to = engine("http://teacher.invalid/v1", key_env="TUTELAGE_KEY", outage=0.2)
    with pytest.raises(UserError, match="E606 no answer for"):
        run(store, to, asks(1), PRICE, 1.0)
    assert store.spent() == 0, "nothing was sent"


def key() -> Any:
    return SimpleNamespace(host="h", port=1, is_ssl=True, ssl=True)


def test_a_certificate_that_is_not_valid_stops_the_run() -> None:
    error = ssl.SSLCertVerificationError("certificate has expired")
    made = calling._failed(aiohttp.ClientConnectorCertificateError(key(), error), Flow(), "")
    assert isinstance(made, Halt)
    assert (made.code, made.cure) == (
        "E605",
        "correct the base URL, or have its certificate trusted",
    )
    assert str(made).startswith("the certificate of this server is not valid (")


def test_what_was_never_sent_is_not_billed() -> None:
    asked: Any = SimpleNamespace(real_url="http://proxy.invalid")
    for error in (
        aiohttp.ClientConnectorError(key(), OSError(111, "Connection refused")),
        aiohttp.ConnectionTimeoutError("timeout"),
        aiohttp.ClientHttpProxyError(asked, (), status=407, message="login"),
    ):
        made = calling._failed(error, Flow(timeout=5), "")
        assert isinstance(made, Unreached) and not made.billed
    made = calling._failed(aiohttp.ConnectionTimeoutError("timeout"), Flow(timeout=90), "")
    assert str(made) == "no connection within 30 s"
    for error in (aiohttp.ServerDisconnectedError(), TimeoutError(), OSError(5, "I/O")):
        made = calling._failed(error, Flow(timeout=5), "")
        assert not isinstance(made, Unreached | Halt) and made.billed


def test_an_address_that_is_none(store: Store) -> None:
    to = engine("http://127.0.0.1:99999999/v1")
    with pytest.raises(UserError, match="E605 this is no base URL"):
        run(store, to, asks(1))


@pytest.mark.parametrize(
    ("soft", "hard", "becomes"),
    [(256, 4096, 1000), (256, 512, 512), (1024, 4096, 0), (-1, -1, 0), (256, -1, 1000)],
)
def test_each_connection_is_an_open_file(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, becomes: int
) -> None:
    made: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: made.append(limits))
    calling._allow_files(1000)
    assert made == ([(becomes, hard)] if becomes else [])


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ("https://me:pw@h.invalid:8443/v1/chat?key=k#k", "https://h.invalid:8443/v1/chat"),
        ("/login?back=1", "/login"),
        ("", ""),
        ("http://[oops/v1", ""),
        ("http://h:port/v1", ""),
    ],
)
def test_where_a_redirect_leads(location: str, where: str) -> None:
    assert place(location) == where


@pytest.mark.usefixtures("impatient")
def test_a_proxy_that_only_passes_on_is_not_shown_the_key(
    teacher: Teacher, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a server under https, it is asked to connect; what follows is none of its business."""
    monkeypatch.setenv("https_proxy", f"http://me:pass@127.0.0.1:{teacher.port}")
    teacher.reply = lambda n, body: failed(407, "Not you.")
    to = engine("https://teacher.invalid/v1", key_env="TUTELAGE_KEY", outage=0.2)
    with pytest.raises(UserError, match="E606 no answer for 0 s"):
        run(store, to, asks(1), PRICE, 1.0)
    head = teacher.heads[0].decode()
    assert head.startswith("CONNECT teacher.invalid:443 HTTP/1.1")
    assert "Proxy-Authorization: Basic bWU6cGFzcw==" in head
    assert "planted" not in head
