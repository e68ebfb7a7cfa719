"""Clients that are slow, stall, vanish or come in crowds: none of them keeps a slot, a thread or a connection."""

import asyncio
import contextlib
import gc
import json
import socket
import struct
import threading
import time
from contextlib import closing

import httpx
import psutil
import pytest

from tests.support.fakes import PATIENCE, Answer, FakeAssistant, Gate
from tests.support.http_server import running_server

QUESTION = {"messages": [{"role": "user", "content": "hello"}]}


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def raw_bytes(body):
    content = json.dumps(body).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def raw_request(port, body):
    """A connection on which a request was sent."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    connection.sendall(raw_bytes(body))
    return connection


def read_until(connection, end):
    """What comes up to some bytes and with them."""
    answer = b""
    while end not in answer:
        piece = connection.recv(65536)
        assert piece, answer
        answer += piece
    return answer


def refusal(answer):
    """The status of a reply that closes its connection, and the code in its envelope."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower().split(b"\r\n")
    return int(head.split()[1]), json.loads(body)["error"]["code"]


def read_all(connection):
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


@pytest.fixture
def gated():
    """A server whose first answer stops after a piece until the gate is opened, or it is cancelled."""
    gate = Gate()
    assistant = FakeAssistant(Answer(gate=gate, before_gate=1))
    with running_server(assistant, queue=2) as running:
        running.server.gate, running.server.assistant = gate, assistant
        yield running


@pytest.fixture(scope="module")
def impatient():
    with running_server(FakeAssistant(), read_timeout=1, stall_timeout=1, body_megabytes=1) as running:
        yield running


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("way", ["close", "reset", "half-close"])
def test_a_client_that_goes_away_frees_its_slot(gated, streams, way):
    connection = raw_request(gated.port, QUESTION | {"stream": streams})
    assert gated.server.gate.reached.wait(PATIENCE)
    assert gated.runner.queue.running == 1
    if way == "half-close":
        connection.shutdown(socket.SHUT_WR)
    elif way == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if way != "half-close":
        connection.close()
    wait_until(lambda: gated.runner.queue.running == 0, "the slot was not freed")
    connection.close()
    assert httpx.post(f"{gated.url}/v1/chat/completions", json=QUESTION).json()["choices"][0]["finish_reason"] == "stop"


def test_who_waits_and_goes_away_is_never_computed(gated):
    first = raw_request(gated.port, QUESTION)
    assert gated.server.gate.reached.wait(PATIENCE)
    second = raw_request(gated.port, {"messages": [{"role": "user", "content": "never"}]})
    wait_until(lambda: gated.runner.queue.waiting == 1, "it does not wait")
    second.close()
    wait_until(lambda: gated.runner.queue.waiting == 0, "it still waits")
    gated.server.gate.open()
    read_until(first, b'"finish_reason":"stop"')
    first.close()
    assert [call.text for call in gated.server.assistant.calls] == ["hello"]


def test_beyond_the_queue_clients_are_told_when_to_come_back(gated):
    waiting = [raw_request(gated.port, QUESTION) for _ in range(3)]
    wait_until(lambda: gated.runner.queue.waiting == 2, "they do not wait")
    with closing(raw_request(gated.port, QUESTION)) as one_more:
        head, _, body = read_until(one_more, b"}}").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429")
    assert b"retry-after: 2\r\n" in head.lower() + b"\r\n"
    assert json.loads(body)["error"]["code"] == "queue_full"
    gated.server.gate.open()
    for connection in waiting:
        with closing(connection):
            read_until(connection, b'"finish_reason":"stop"')


def test_a_request_that_comes_too_slowly_is_given_up(impatient):
    for beginning in (b"", b"GET /health HTTP/1.1\r\nHost: localh", b"POST /v1/route HTTP/1.1\r\nHost: localhost\r\n"
                      b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"):  # fmt: skip
        with socket.create_connection(("127.0.0.1", impatient.port), timeout=PATIENCE) as connection:
            connection.sendall(beginning)
            assert refusal(read_all(connection)) == (408, "timeout")


def test_a_request_byte_by_byte_gains_no_time(impatient):
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=PATIENCE) as connection:
        connection.settimeout(0.1)
        answer, started = b"", time.monotonic()
        while not answer:
            assert time.monotonic() - started < PATIENCE
            connection.sendall(b"G")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 408")


def test_a_client_that_reads_nothing_is_left(impatient):
    connections = impatient.server.server_state.connections
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", impatient.port))
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
        wait_until(lambda: connections, "it did not connect")
        wait_until(lambda: not connections, "it is still connected")


def test_long_bodies_and_headers_are_refused(impatient):
    body = json.dumps({"text": "a" * (2 << 20)})
    headers = {"Content-Type": "application/json"}
    assert httpx.post(f"{impatient.url}/v1/route", content=body, headers=headers).status_code == 413

    def pieces():
        yield from (body[at : at + 65536].encode() for at in range(0, len(body), 65536))

    assert httpx.post(f"{impatient.url}/v1/route", content=pieces(), headers=headers).status_code == 413
    assert httpx.get(f"{impatient.url}/health", headers={"X": "a" * 100_000}).status_code == 431


@pytest.mark.parametrize(
    ("sent", "refused"),
    [
        (b"what is this?\r\n\r\n", (400, "invalid_http")),
        (b"GET /health HTTP/1.1\r\n\r\n", (400, "invalid_http")),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 50_000, (431, "request_headers_too_large")),
    ],
)
def test_what_is_no_request_has_the_envelope_of_errors(impatient, sent, refused):
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=PATIENCE) as connection:
        connection.sendall(sent)
        assert refusal(read_all(connection)) == refused


def test_beyond_the_connections_that_there_may_be_clients_are_told_when_to_come_back():
    with running_server(FakeAssistant(), connections=8) as running, contextlib.ExitStack() as others:
        for _ in range(7):
            others.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE))
        wait_until(lambda: len(running.server.server_state.connections) == 7, "they are not connected")
        assert httpx.get(f"{running.url}/health").status_code == 200
        wait_until(lambda: len(running.server.server_state.connections) == 7, "it is still connected")
        others.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE))
        busy = httpx.get(f"{running.url}/health")
        assert (busy.status_code, busy.json()["error"]["code"]) == (503, "server_busy")
        assert int(busy.headers["Retry-After"]) > 0


def test_numbers_of_messages_and_answers_are_bounded():
    with running_server(FakeAssistant(), messages=3, choices=2) as running:
        url = f"{running.url}/v1/chat/completions"
        assert httpx.post(url, json={"messages": QUESTION["messages"] * 4}).json()["error"]["param"] == "messages"
        assert httpx.post(url, json=QUESTION | {"n": 3}).json()["error"]["param"] == "n"
        assert len(httpx.post(url, json=QUESTION | {"n": 2}).json()["choices"]) == 2


def test_a_crowd_leaves_no_thread_and_no_handle_behind():
    async def ask(port, number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(raw_bytes(QUESTION | {"stream": number % 2 == 0}))
        answer = await reader.readuntil(b'"finish_reason":"stop"')
        writer.close()
        return answer[:15]

    async def crowd(port):
        return await asyncio.gather(*(ask(port, number) for number in range(220)))

    assistant = FakeAssistant()
    with running_server(assistant) as running:
        httpx.post(f"{running.url}/v1/chat/completions", json=QUESTION)
        wait_until(lambda: assistant.warmed, "it does not prepare for the next message")
        threads, before = threading.active_count(), handles()
        assert asyncio.run(crowd(running.port)) == [b"HTTP/1.1 200 OK"] * 220
        wait_until(lambda: not running.server.server_state.connections, "connections are still open")
        assert running.runner.queue.running == running.runner.queue.waiting == 0
        gc.collect()
        assert handles() <= before + 3
        assert threading.active_count() <= threads


def handles():
    process = psutil.Process()
    return process.num_handles() if psutil.WINDOWS else process.num_fds()


def test_idle_time_is_for_the_next_message_until_somebody_asks():
    gate = Gate()
    assistant = FakeAssistant(warm_gate=gate)
    with running_server(assistant) as running:
        httpx.post(f"{running.url}/v1/chat/completions", json=QUESTION)
        assert gate.reached.wait(PATIENCE)
        assert [message.content for message in assistant.warmed[0]] == ["hello", "a fine answer"]
        httpx.post(f"{running.url}/v1/chat/completions", json=QUESTION)
        wait_until(lambda: len(assistant.warmed) == 2, "it is not prepared for the second one")
        httpx.post(f"{running.url}/v1/completions", json={"prompt": "hello"})
    assert len(assistant.warmed) == 2


def test_conversations_are_never_mixed(server):
    """Many clients at once, each with messages of its own, get the answers that they get alone."""
    years = range(1990, 2010)

    async def ask(client, year):
        message = {"role": "user", "content": f"to ISO: 4 July {year}"}
        answer = await client.post("/v1/chat/completions", json={"model": "dates", "messages": [message]})
        return answer.json()["choices"][0]["message"]["content"]

    async def ask_all():
        async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE) as client:
            return await asyncio.gather(*(ask(client, year) for year in years))

    assert asyncio.run(ask_all()) == [f"{year}-07-04" for year in years]
