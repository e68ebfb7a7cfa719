"""The only module that imports huggingface_hub: lists the files of a repository, and reads one from any position on.

`hf_hub_download` is not used: it discards what came before a cut, and compares no hash. Two names that are needed here,
`constants.HF_HUB_DISABLE_TELEMETRY` and `errors.HTTPError`, are not documented: pyproject.toml bounds the version.
"""

from __future__ import annotations

import contextlib
import email.utils
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import huggingface_hub as hub
from huggingface_hub import constants, errors
from huggingface_hub.constants import HF_HUB_DOWNLOAD_TIMEOUT
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # the HTTP library's own base
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from dlp_local import __version__
from dlp_local.core.errors import HubError
from dlp_local.hub.choice import Reference, RepoFile

constants.HF_HUB_DISABLE_TELEMETRY = True  # else it names the machine's packages to the hub

PIECE = 1 << 16
"""Bytes that are written at once; at most so many are lost where a connection is cut."""

BUSY = frozenset({408, 429, 500, 502, 503, 504})
_RANGE = re.compile(r"bytes (\d+)-")
_COMMIT = _BLOB = re.compile("[0-9a-f]{40}")
_SHA256 = re.compile("[0-9a-f]{64}")
_RESET = re.compile(r"\bt=(\d+)")
_TOKEN = "Set HF_TOKEN to a token of yours (https://huggingface.co/settings/tokens)"


class CutError(Exception):
    """A request failed in a way that may pass; `wait` is how many seconds the hub asks to wait, where it does."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at one commit (40 hexadecimal digits); `license` as its model card states it, or empty."""

    commit: str
    files: tuple[RepoFile, ...]
    license: str


def is_offline() -> bool:
    """Whether `HF_HUB_OFFLINE` forbids every request."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def read_repository(reference: Reference) -> Repository:
    """Lists a repository at a reference's revision.

    Raises `HubError` with what the user can do, and `CutError` where trying again may help.
    """
    try:
        with _translated(reference):
            api = hub.HfApi(endpoint=_endpoint(), library_name="dlp-local", library_version=__version__)
            info = api.model_info(
                reference.repo, revision=reference.revision, files_metadata=True, timeout=HF_HUB_DOWNLOAD_TIMEOUT
            )
        return _repository(info)
    except (AttributeError, LookupError, TypeError, ValueError):  # whatever stumbles over an answer of another form
        raise HubError(
            f"{reference}: what answers at {_host()} is no hub. Check HF_ENDPOINT; in a guest network, sign in first."
        ) from None


@contextlib.contextmanager
def open_file(reference: Reference, commit: str, file: RepoFile, start: int) -> Iterator[tuple[int, Iterator[bytes]]]:
    """Yields the position of the first byte that comes, and the bytes in pieces of `PIECE`.

    The position is `start`, or 0 where the server cannot continue in the middle. Raises as `read_repository` does, also
    while the bytes are read.
    """
    url = hub.hf_hub_url(reference.repo, file.path, revision=commit, endpoint=_endpoint())
    headers = build_hf_headers(library_name="dlp-local", library_version=__version__)
    headers["Accept-Encoding"] = "identity"
    if start:
        headers["Range"] = f"bytes={start}-"
    with (
        _translated(reference),
        hub.get_session().stream("GET", url, headers=headers, timeout=HF_HUB_DOWNLOAD_TIMEOUT) as response,
    ):
        if response.status_code == 416:  # nothing is there from `start` on
            yield 0, iter(())
            return
        if response.status_code >= 400:
            response.read()  # its message
        hub.hf_raise_for_status(response)
        match = _RANGE.match(response.headers.get("Content-Range", "")) if response.status_code == 206 else None
        position = int(match[1]) if match else 0
        if position not in (0, start):
            raise CutError("the server sent another part of the file than it was asked for")
        yield position, response.iter_bytes(PIECE)


def _endpoint() -> str | None:
    """The hub's address: `HF_ENDPOINT`, or none for huggingface.co."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _repository(info: hub.ModelInfo) -> Repository:
    """The hub's answer, checked, for its hashes become names of files here; raises `ValueError` for another form."""
    card = info.card_data.to_dict() if info.card_data else {}  # type: ignore[no-untyped-call]
    license = card.get("license_name") or card.get("license") or ""
    commit, files = _matching(_COMMIT, info.sha), tuple(_files(info))
    return Repository(commit, files, license if isinstance(license, str) else ", ".join(license))


def _files(info: hub.ModelInfo) -> Iterator[RepoFile]:
    for file in info.siblings or ():
        if file.size is None or not (file.lfs or file.blob_id):
            continue
        if not isinstance(file.rfilename, str) or file.size < 0:
            raise ValueError
        if file.lfs:
            yield RepoFile(file.rfilename, file.size, sha256=_matching(_SHA256, file.lfs.sha256))
        else:
            yield RepoFile(file.rfilename, file.size, blob=_matching(_BLOB, file.blob_id))


def _matching(form: re.Pattern[str], value: str | None) -> str:
    if not form.fullmatch(value or ""):
        raise ValueError
    return str(value)


@contextlib.contextmanager
def _translated(reference: Reference) -> Iterator[None]:
    """Turns the library's errors into one that says what to do, or into `CutError` where trying again may help."""
    page = f"{_endpoint() or 'https://huggingface.co'}/{reference.repo}"
    try:
        yield
    except errors.OfflineModeIsEnabled:
        raise HubError(f"{reference}: HF_HUB_OFFLINE is set. Unset it to fetch from the hub.") from None
    except errors.GatedRepoError:
        raise HubError(f"{reference}: is gated. Open {page}, accept its terms, then: {_TOKEN}.") from None
    except errors.RevisionNotFoundError:
        raise HubError(f"{reference}: has no revision '{reference.revision}'. Look at {page}.") from None
    except errors.RepositoryNotFoundError:
        raise HubError(
            f"{reference}: there is no such repository, or it is private. Check the name; if it is private: {_TOKEN}."
        ) from None
    except errors.EntryNotFoundError:
        raise HubError(f"{reference}: the file is gone from the repository. Look at {page}.") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in BUSY:
            raise CutError(_reason(status), _asked_wait(error.response.headers)) from None
        if status in (401, 403):
            raise HubError(f"{reference}: the hub refuses access ({status}). {_TOKEN} that may read it.") from None
        raise HubError(f"{reference}: the hub answers {status}. Look at {page}, or try later.") from None
    except ImportError:  # of the package for such proxies
        raise HubError(
            f"{reference}: a SOCKS proxy is set, and socksio is not installed. pip install socksio, or unset the proxy."
        ) from None
    except HTTPError as error:
        raise CutError(f"the connection to {_host()} failed: {str(error) or type(error).__name__}") from None


def _reason(status: int) -> str:
    return "the hub has had too many requests" if status == 429 else f"the hub cannot answer now ({status})"


def _host() -> str:
    return (_endpoint() or "https://huggingface.co").partition("://")[2]


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds out of `Retry-After` (a number or a date), or of the hub's own `RateLimit: "…";r=…;t=…`."""
    retry_after = headers.get("Retry-After", "").strip()
    if retry_after.isdecimal():
        return float(retry_after)
    if retry_after:
        with contextlib.suppress(ValueError):
            return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    reset = _RESET.search(headers.get("RateLimit", ""))
    return float(reset[1]) if reset else None
