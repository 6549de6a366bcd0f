"""Downloads against a server of our own: whole, changed, cut, missing."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dccl.data.download import SETS, PublicSet, get
from dccl.wire.errors import ConfigError, DataError, StorageError

RATINGS = b"1::2::5::978300760\n" * 500


def archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        packed.writestr("ml/ratings.dat", RATINGS)
        packed.writestr("../../outside.txt", b"never unpacked")
    return content.getvalue()


class Server:
    def __init__(self) -> None:
        self.content = archive()
        self.status = 200
        self.cut = False
        self.requests: list[str] = []


@pytest.fixture
def server() -> Iterator[tuple[Server, str]]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append(self.path)
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(state.content)))
            self.end_headers()
            self.wfile.write(state.content[: len(state.content) // 2] if state.cut else state.content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield state, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def one_set(content: bytes, members: tuple[str, ...] = ("ml/ratings.dat",)) -> dict[str, PublicSet]:
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {
        "ml": PublicSet(
            url="http://publisher.invalid/ml.zip", checksum=checksum, terms="be kind", members=members
        )
    }


def test_a_set_is_fetched_unpacked_and_its_terms_are_told_first(
    server: tuple[Server, str], tmp_path: Path
) -> None:
    state, url = server
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(f"{text} after {len(state.requests)} requests")

    folder = get("ml", tmp_path, base_url=url, sets=one_set(state.content), tell=tell)
    assert told == ["ml: be kind after 0 requests"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"ratings.dat": RATINGS}
    assert not (tmp_path.parent / "outside.txt").exists()


def test_a_set_that_is_there_is_not_fetched_again(server: tuple[Server, str], tmp_path: Path) -> None:
    state, url = server
    for _ in range(2):
        get("ml", tmp_path, base_url=url, sets=one_set(state.content), tell=str)
    assert state.requests == ["/ml.zip"]


def test_a_file_that_is_no_archive_is_kept_as_it_is(server: tuple[Server, str], tmp_path: Path) -> None:
    state, url = server
    folder = get("ml", tmp_path, base_url=url, sets=one_set(state.content, ()), tell=str)
    assert (folder / "ml.zip").read_bytes() == state.content


def fails(server: tuple[Server, str], folder: Path, sets: dict[str, PublicSet], message: str) -> None:
    with pytest.raises(DataError, match=message):
        get("ml", folder, base_url=server[1], sets=sets, tell=str)
    assert list(folder.iterdir()) == []


def test_another_checksum_is_refused_and_nothing_is_kept(server: tuple[Server, str], tmp_path: Path) -> None:
    fails(server, tmp_path, one_set(b"another"), "not the file that was expected")


def test_a_cut_connection_leaves_nothing_and_the_next_try_succeeds(
    server: tuple[Server, str], tmp_path: Path
) -> None:
    state, url = server
    state.cut = True
    fails(server, tmp_path, one_set(state.content), "cannot download")
    state.cut = False
    assert (get("ml", tmp_path, base_url=url, sets=one_set(state.content), tell=str) / "ratings.dat").exists()


def test_a_missing_file_is_named(server: tuple[Server, str], tmp_path: Path) -> None:
    server[0].status = 404
    fails(server, tmp_path, one_set(server[0].content), r"cannot download http://.*/ml\.zip: 404")


def test_nobody_listening_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot download"):
        get("ml", tmp_path, base_url="http://127.0.0.1:9", sets=one_set(b""), tell=str)


def test_an_archive_without_the_wanted_file_is_refused(server: tuple[Server, str], tmp_path: Path) -> None:
    fails(server, tmp_path, one_set(server[0].content, ("ml/users.dat",)), r"users\.dat")


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        get("ml", tmp_path / "file", base_url="http://127.0.0.1:9", sets=one_set(b""), tell=str)


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no public set 'ml-2m'; known are ml-100k, ml-1m"):
        get("ml-2m", tmp_path)


def test_every_public_set_has_a_checksum_and_terms() -> None:
    for wanted in SETS.values():
        kind, digest = wanted.checksum.split(":")
        assert len(digest) == {"sha256": 64, "md5": 32}[kind]
        assert wanted.url.startswith("https://")
        assert wanted.terms
