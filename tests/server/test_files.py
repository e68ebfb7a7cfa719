"""Files of rows: sent, kept, listed, read and deleted with OpenAI's own client, and what goes wrong on the way."""

import errno
import io
import os
import socket
import stat
import time
from contextlib import contextmanager

import httpx
import openai
import pytest
from pydantic import TypeAdapter

from dlp_local.core.paths import data_folder, serving_folder
from dlp_local.server.replies.files import File, FileList
from tests.support.fakes import PATIENCE, FakeAssistant
from tests.support.http_server import running_server
from tests.support.scripted_training import rows_text

ROWS = rows_text()
KEY, OTHER = "first-key-of-the-tests", "second-key-of-the-tests"
FIELD = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--'
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def client_of(running, key="any"):
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key=key, max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
def client():
    with running_server(FakeAssistant(), file_megabytes=1, files_megabytes=2) as running, client_of(running) as client:
        yield client


def send(client, text=ROWS, name="rows.jsonl"):
    return client.files.create(file=(name, text.encode()), purpose="fine-tune")


def kept():
    return sorted(path.name for path in (serving_folder("bundled") / "files").glob("*"))


def test_a_file_is_kept_and_comes_back_to_the_byte(client, tmp_path):
    (tmp_path / "rows.jsonl").write_text(ROWS, "utf-8")
    with (tmp_path / "rows.jsonl").open("rb") as file:
        sent = client.files.create(file=file, purpose="fine-tune")
    assert (sent.filename, sent.bytes, sent.purpose) == ("rows.jsonl", len(ROWS), "fine-tune")
    assert client.files.retrieve(sent.id) == sent
    assert client.files.wait_for_processing(sent.id).status == "processed"
    assert client.files.content(sent.id).read() == ROWS.encode()
    TypeAdapter(File).validate_json(client.files.with_raw_response.retrieve(sent.id).content, strict=True)


def test_a_deleted_file_is_gone_from_the_disk_too(client):
    sent = send(client)
    assert client.files.delete(sent.id).deleted
    assert kept() == []
    for ask in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError) as refused:
            ask(sent.id)
        assert refused.value.code == "file_not_found"


def test_files_are_listed_in_pages_the_newest_first(client):
    ids = [send(client).id for _ in range(3)]
    assert [file.id for file in client.files.list()] == ids[::-1]
    assert [file.id for file in client.files.list(limit=1)] == ids[::-1], "the client goes on from page to page"
    assert [file.id for file in client.files.list(order="asc")] == ids
    assert list(client.files.list(purpose="batch")) == []
    page = client.files.with_raw_response.list(limit=2, after=ids[2])
    reply = TypeAdapter(FileList).validate_json(page.content, strict=True)
    assert ([file["id"] for file in reply["data"]], reply["has_more"]) == ([ids[1], ids[0]], False)


@pytest.mark.parametrize(
    ("query", "param"),
    [({"limit": 0}, "limit"), ({"limit": "²"}, "limit"), ({"after": "x"}, "after"), ({"order": "x"}, "order")],
)
def test_a_page_that_cannot_be_is_refused_by_name(client, query, param):
    with pytest.raises(openai.BadRequestError) as refused:
        client.get("/files", cast_to=object, options={"params": query})
    assert (refused.value.param, refused.value.code) == (param, "invalid_value")


def test_a_file_outlives_the_server():
    with running_server(FakeAssistant()) as running, client_of(running) as client:
        ids = [send(client).id for _ in range(5)]
    with running_server(FakeAssistant()) as running, client_of(running) as client:
        assert [file.id for file in client.files.list()] == ids[::-1]
        assert client.files.content(ids[0]).read() == ROWS.encode()


def test_a_file_is_its_owners_alone_wherever_the_key_stands_in_the_file(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(f"{KEY}\n{OTHER}\n", "utf-8")
    with running_server(FakeAssistant(), api_key_file=str(keys)) as running, client_of(running, KEY) as client:
        sent = send(client)
    keys.write_text(f"{OTHER}\n{KEY}\n", "utf-8")
    with running_server(FakeAssistant(), api_key_file=str(keys)) as running:
        with client_of(running, OTHER) as client:
            assert list(client.files.list()) == []
            for ask in (client.files.retrieve, client.files.content, client.files.delete):
                with pytest.raises(openai.NotFoundError):
                    ask(sent.id)
        with client_of(running, KEY) as client:
            assert client.files.retrieve(sent.id).id == sent.id
        assert httpx.post(f"{running.url}/v1/files", files={"file": b"x"}).status_code == 401
        from_elsewhere = httpx.get(f"{running.url}/v1/files", headers={"Origin": "https://page.example"})
        assert from_elsewhere.status_code == 403
    assert not any(KEY.encode() in path.read_bytes() for path in data_folder().rglob("*") if path.is_file())


def test_no_path_is_made_of_a_clients_name(client):
    sent = [send(client, name=name) for name in ("../../outside.jsonl", "C:\\rows\\mine.csv", "\x1b[2J.jsonl", "..")]
    assert [file.filename for file in sent] == ["outside.jsonl", "mine.csv", "␛[2J.jsonl", ".."]
    files = {path.name for path in data_folder().rglob("*") if path.is_file()} - {".lock"}
    assert files == {
        f"{file.id}{end}" for file, end in zip(sent, (".jsonl", ".csv", ".jsonl", ".jsonl"), strict=True)
    } | {f"{file.id}.json" for file in sent}
    for number in ("..", "../..", "%2e%2e%2f", f"{sent[0].id}.json"):
        assert httpx.get(f"{client.base_url}files/{number}/content").status_code in (404, 405)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_files_are_readable_by_the_user_alone(client):
    send(client)
    assert stat.S_IMODE(serving_folder("bundled").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("form", "param", "code"),
    [
        ({"data": {"purpose": "batch"}, "files": {"file": b"x"}}, "purpose", "invalid_value"),
        ({"data": {}, "files": {"file": b"x"}}, "purpose", "missing_required_parameter"),
        ({"data": {"purpose": "fine-tune"}, "files": {"other": b"x"}}, "file", "missing_required_parameter"),
        ({"data": {"purpose": "fine-tune", "expires_after[anchor]": "created_at"}, "files": {"file": b"x"}},
         "expires_after[anchor]", "unknown_parameter"),
        ({"data": {"purpose": "x" * 5000}, "files": {"file": b"x"}}, None, "invalid_body"),
        ({"data": {"purpose": "fine-tune"}, "files": [("file", b"x"), ("file", b"y")]}, None, "invalid_body"),
    ],
)  # fmt: skip
def test_a_form_that_is_not_understood_is_refused_by_name(client, form, param, code):
    refused = httpx.post(f"{client.base_url}files", **form)
    assert refused.status_code == 400
    assert (refused.json()["error"]["param"], refused.json()["error"]["code"]) == (param, code)
    assert kept() == []


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=x", b"no form", 400),
        ("multipart/form-data; boundary=x; charset=base64", FIELD, 400),
        ("multipart/form-data; boundary=x; charset=utf-16", FIELD, 400),
        ("multipart/form-data; boundary=x; charset=undefined", FIELD, 400),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--", 400),
    ],
)  # fmt: skip
def test_what_is_no_form_is_refused_and_nothing_is_written_of_it(client, capfd, kind, body, status):
    refused = httpx.post(f"{client.base_url}files", content=body, headers={"Content-Type": kind})
    assert refused.status_code == status, refused.text
    assert refused.json()["error"]["code"]
    assert capfd.readouterr().err == ""


def test_a_file_that_is_too_long_is_refused_whether_its_length_is_told_or_not(client):
    with pytest.raises(openai.APIStatusError) as refused:
        send(client, "x" * (1 << 20))
    assert (refused.value.status_code, refused.value.code) == (413, "request_too_large")

    def pieces():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(40):
            yield b"y" * (1 << 16)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = httpx.post(f"{client.base_url}files", content=pieces(), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
    assert kept() == []


def test_all_files_together_have_a_bound(client):
    first = send(client, "x" * 1_000_000)
    send(client, "x" * 1_000_000)
    with pytest.raises(openai.InternalServerError, match="Delete some") as refused:
        send(client, "x" * 1_000_000)
    assert (refused.value.status_code, refused.value.code) == (507, "files_full")
    client.files.delete(first.id)
    send(client, "x" * 1_000_000)


def test_an_upload_that_breaks_off_leaves_nothing(client):
    address = (client.base_url.host, client.base_url.port)
    with socket.create_connection(address) as connection:
        head = b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
        connection.sendall(head + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n")
        connection.sendall(b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"y" * 50_000)
    end = time.monotonic() + PATIENCE
    count = 'dlp_local_requests_total{endpoint="upload_file",status="499"} 1.0'
    while count not in httpx.get(f"{client.base_url.join('/metrics')}").text:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert kept() == []
    assert list(client.files.list()) == []


def test_what_a_killed_server_left_half_is_cleared_away():
    with running_server(FakeAssistant()) as running, client_of(running) as client:
        sent = send(client)
    folder = serving_folder("bundled") / "files"
    whole, other = kept(), "file-" + "0" * 24
    for name in (f"{other}.jsonl", f"{other}-0123abcd.part.jsonl", f"{sent.id}-0123abcd.part.json", "mine.txt"):
        (folder / name).write_text("half", "utf-8")
    (folder / f"file-{'1' * 24}.json").write_text('{"id": "file', "utf-8")
    with running_server(FakeAssistant()) as running, client_of(running) as client:
        assert [file.id for file in client.files.list()] == [sent.id]
    assert kept() == sorted([*whole, "mine.txt"])


@pytest.mark.parametrize("step", ["os.fsync", "shutil.copyfileobj"])
def test_a_full_disk_is_told_and_leaves_nothing(client, monkeypatch, step):
    def fails(*_):
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(step, fails)
        with pytest.raises(openai.InternalServerError, match="disk is full") as refused:
            send(client)
    assert (refused.value.status_code, refused.value.code) == (507, "disk_full")
    assert kept() == []
    assert send(client).id in [file.id for file in client.files.list()]


def test_a_full_disk_while_a_file_comes_is_told(client, monkeypatch):
    class Full(io.BytesIO):
        _rolled = True

        def write(self, _):
            raise FULL

    monkeypatch.setattr("starlette.formparsers.SpooledTemporaryFile", lambda **_: Full())
    with pytest.raises(openai.InternalServerError, match="disk is full"):
        send(client)


def test_a_folder_that_cannot_be_made_is_told():
    data_folder().write_text("a file is in its way", "utf-8")
    with (
        running_server(FakeAssistant()) as running,
        client_of(running) as client,
        pytest.raises(openai.InternalServerError, match="DLP_LOCAL_DATA"),
    ):
        send(client)


def test_a_second_server_of_the_pack_leaves_the_files_to_the_first():
    with (
        running_server(FakeAssistant()) as first,
        client_of(first) as client,
        running_server(FakeAssistant()) as second,
    ):
        send(client)
        with client_of(second) as other, pytest.raises(openai.InternalServerError, match="another server") as refused:
            other.files.list()
        assert (refused.value.status_code, refused.value.code) == (503, "trainings_elsewhere")
        assert httpx.get(f"{second.url}/v1/models").status_code == 200
    with running_server(FakeAssistant()) as third, client_of(third) as client:
        assert len(list(client.files.list())) == 1
