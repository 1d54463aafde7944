"""Google Cloud Storage: a store of objects made once, and shards read at a pinned generation.

Preconditions on generations take the place of links and locks: an object is created only if there is none of its name, a pointer
is set only if nobody set it since (https://cloud.google.com/storage/docs/request-preconditions). Nothing is ever renamed: there
a rename is a copy and a deletion.
"""

import contextlib
import fcntl
import fnmatch
import functools
import hashlib
import io
import itertools
import os
import re
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from models.digest import digest_of_file
from models.errors import ShardChangedError, StoreConflictError, UsageError
from models.store import Entry, scratch_file, sync_folder, sync_tree

SCHEME = "gs://"
WILDCARD = re.compile(r"[*?\[]")
_SHA256 = "sha256"
"""Name of the metadata that says what an object holds: what the service keeps itself (CRC32C, MD5) is too weak to compare by."""

_CHUNK = 8 << 20
_PAGE = 1000
_RETRY = DEFAULT_RETRY.with_delay(initial=0.5, maximum=60.0, multiplier=2.0).with_timeout(300.0)
"""Of everything: all requests here are safe to repeat, for each has a precondition or changes nothing. The library waits a random part of
the delay."""

_UPLOADS = 3
_UNUSED_DAYS = 7
_LEASES, _CLEANING = "leases", "gc"
_LEASE_SECONDS = 600


@functools.cache
def _client(process: int) -> Any:  # a client must not be shared with a forked process
    del process
    try:
        return storage.Client()
    except GoogleAuthError as error:
        raise UsageError(
            f"gs://: no credentials ({error}); sign in with: gcloud auth application-default login, or name a key file in "
            "GOOGLE_APPLICATION_CREDENTIALS"
        ) from None
    except OSError as error:  # no project can be found
        raise UsageError(f"gs://: {error}; set GOOGLE_CLOUD_PROJECT") from None


def split_url(url: str) -> tuple[str, str]:
    """Return bucket and object name of ``gs://bucket/name``.

    Raises:
        UsageError: if the bucket is missing.
    """
    bucket, _, name = url.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise UsageError(f"{url}: names no bucket; say gs://BUCKET/FOLDER")
    return bucket, name


def _bucket(url: str) -> Any:
    return _client(os.getpid()).bucket(split_url(url)[0])


@contextlib.contextmanager
def _in_words(url: str) -> Iterator[None]:
    """Turn what the service said into errors that workers know: what may pass is tried again, what does not is the user's."""
    try:
        yield
    except exceptions.NotFound:
        raise FileNotFoundError(url) from None
    except (exceptions.Forbidden, exceptions.Unauthorized) as error:
        if re.search(r"retention|\bhold\b", str(error.message), re.IGNORECASE):
            raise _kept(url, "a retention policy, or holds") from None
        raise UsageError(f"{url}: no right ({error.message}); give the account of this machine that right") from None
    except exceptions.PreconditionFailed:
        raise
    except (exceptions.GoogleAPIError, GoogleAuthError, DataCorruption, InvalidResponse) as error:
        raise OSError(f"{url}: {error}") from error


def _kept(url: str, what: str) -> UsageError:
    return UsageError(
        f"{url}: the bucket has {what}, and an output needs objects that can be replaced and deleted (the pointer, leases, what gc "
        "collects); take it off, or name another bucket. Object versioning and soft delete do no harm"
    )


class CloudStore:
    """A store below ``gs://bucket/prefix``; every object says its SHA-256 in its metadata.

    Args:
        root: without a slash at the end.
    """

    def __init__(self, root: str) -> None:
        self._root = root.rstrip("/")
        self._prefix = split_url(self._root)[1]

    @property
    def root(self) -> str:
        return self._root

    @property
    def scratch(self) -> Path:
        return machine_folder()

    def prepare(self) -> None:
        self.check()

    def check(self) -> None:
        try:
            with _in_words(self._root):
                next(iter(self.list("")), None)
                self._check_replaceable()
                self._probe()
        except FileNotFoundError:
            raise UsageError(f"{self._root}: there is no such bucket; make it, or name another output") from None

    def _check_replaceable(self) -> None:
        """Make sure that objects can be replaced and deleted: the pointer and leases are.

        Raises:
            UsageError: if a policy of the bucket forbids it. An account without the right to look at the bucket finds out by the probe.
        """
        try:
            bucket = _client(os.getpid()).get_bucket(split_url(self._root)[0], retry=_RETRY)
        except exceptions.Forbidden:
            return
        holds = {"a retention policy": bucket.retention_period, "holds by default": bucket.default_event_based_hold}
        for name, is_set in holds.items():
            if is_set:
                raise _kept(self._root, name)

    def claim(self, identity: str) -> str:
        try:
            with _in_words(self._url(".corpus")):
                self._blob(".corpus").upload_from_string(identity, if_generation_match=0, retry=_RETRY)
        except exceptions.PreconditionFailed:
            pass
        return self.read(".corpus").decode()

    def _name(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _blob(self, name: str, generation: int | None = None) -> Any:
        return _bucket(self._root).blob(self._name(name), generation=generation, chunk_size=_CHUNK)

    def _url(self, name: str) -> str:
        return f"{self._root}/{name}"

    def create_once(self, name: str, file: Path) -> str:
        digest = digest_of_file(file)
        try:
            with _in_words(self._url(name)):
                self._upload(name, file, digest)
        except exceptions.PreconditionFailed:
            if self._held(name) != (digest, file.stat().st_size):
                raise StoreConflictError(
                    f"{self._url(name)} exists with other content than what was made for it; the same inputs gave different "
                    "results. Move it away to see both, run again, and report it"
                ) from None
        return digest

    def _upload(self, name: str, file: Path, digest: str) -> None:
        for tries in itertools.count(1):
            blob = self._blob(name)
            blob.metadata = {_SHA256: digest}
            try:
                blob.upload_from_filename(str(file), if_generation_match=0, retry=_RETRY)
            except DataCorruption:
                # A part that was sent again may have been taken twice; the client has deleted what came of it.
                if tries == _UPLOADS:
                    raise
            else:
                return

    def _held(self, name: str) -> tuple[str, int]:
        """Return SHA-256 and size of an object."""
        with _in_words(self._url(name)):
            blob = self._blob(name)
            blob.reload(retry=_RETRY)
            said = (blob.metadata or {}).get(_SHA256)
            return str(said) if said else hashlib.sha256(self.read(name)).hexdigest(), int(blob.size)

    def exists(self, name: str) -> bool:
        with _in_words(self._url(name)):
            return bool(self._blob(name).exists(retry=_RETRY))

    def read(self, name: str) -> bytes:
        with _in_words(self._url(name)):
            data: bytes = self._blob(name).download_as_bytes(retry=_RETRY)
            return data

    def local(self, name: str) -> Path:
        """Return the path of a copy that all processes of this machine share; checked against the object's SHA-256 when it is made."""
        place = machine_folder() / "objects" / hashlib.sha256(self._root.encode()).hexdigest()[:16] / name
        with _locked(place):
            if place.exists():
                os.utime(place)
                return place
            with scratch_file(machine_folder()) as near:
                self._fetch(name, near)
                near.chmod(0o444)
                _name(near, place)
        return place

    @contextlib.contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        with scratch_file(machine_folder(), Path(name).suffix) as path:
            self._fetch(name, path)
            yield path

    def _fetch(self, name: str, path: Path) -> None:
        with _in_words(self._url(name)):
            blob = self._blob(name)
            blob.reload(retry=_RETRY)
            blob.download_to_filename(str(path), retry=_RETRY)
            said = (blob.metadata or {}).get(_SHA256)
        if said is not None and digest_of_file(path) != said:
            raise OSError(f"{self._url(name)}: what arrived is not what its metadata says")

    def list(self, prefix: str) -> Iterator[Entry]:
        below = self._name(f"{prefix}/" if prefix else "")
        with _in_words(self._url(prefix)):
            for blob in _list(self._root, below):
                name = blob.name[len(self._prefix) + 1 :] if self._prefix else blob.name
                yield Entry(name, blob.size, blob.updated.timestamp())

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError), _in_words(self._url(name)):
            self._blob(name).delete(retry=_RETRY)

    def now(self) -> float:
        with _in_words(self._root):
            return self._probe()

    def _probe(self) -> float:
        """Make an object and delete it, and return when it was made."""
        # A name of its own: a bucket with a retention policy lets nothing be replaced. No precondition: when an answer is lost and
        # the request sent again, it has to go through.
        name = f"tmp/probe-{uuid.uuid4().hex}"
        blob = self._blob(name)
        blob.upload_from_string(b"", retry=_RETRY)
        made: float = blob.time_created.timestamp()
        self.delete(name)
        return made

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        with self._lease(f"{_LEASES}/{uuid.uuid4().hex}"):
            while self._is_held(f"{_LEASES}/{_CLEANING}"):
                time.sleep(5)
            yield

    @contextlib.contextmanager
    def not_in_use(self) -> Iterator[None]:
        name = f"{_LEASES}/{_CLEANING}"
        token = uuid.uuid4().hex.encode()
        self._take(name, token)
        with self._lease(name, token, self.pointer(name)[1]):
            # Each says what it is before it looks for the other, so that at least one sees the other.
            if any(self._is_held(entry.name) for entry in self.list(_LEASES) if entry.name != name):
                raise UsageError(
                    f"{self._root}: a run is under way, or ended without a word less than {_LEASE_SECONDS // 60} minutes ago; "
                    "try again later"
                )
            yield

    @contextlib.contextmanager
    def _lease(self, name: str, value: bytes = b"", generation: int = 0) -> Iterator[None]:
        """Hold a lease: an object that is written anew while its holder lives.

        Only what the holder wrote itself is renewed and deleted: who was held up so long that the lease ran out, and another took it,
        leaves it to that one.

        Args:
            generation: of the lease if it was taken already.
        """
        ended = threading.Event()
        held = generation or self._put(name, value, 0)

        def renew() -> None:
            nonlocal held
            while not ended.wait(_LEASE_SECONDS / 6):
                with contextlib.suppress(Exception):  # the next one may go through
                    held = self._put(name, value, held)

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._give_back(name, value)

    def _take(self, name: str, token: bytes) -> None:
        """Take the lease that only one may have; one that ran out is taken away from its holder, by one of those who want it.

        Raises:
            UsageError: if another holds it.
        """
        _, generation = self.pointer(name)
        if generation and self._is_held(name):
            raise UsageError(f"{self._root}: another gc is under way; try again when it has ended")
        try:
            self.swap(name, token, generation)
        except StoreConflictError:
            raise UsageError(f"{self._root}: another gc began at the same time; try again when it has ended") from None

    def _put(self, name: str, value: bytes, generation: int) -> int:
        """Write a lease that still is of a generation, or is gone, and return its new one.

        Raises:
            StoreConflictError: if another holds it.
        """
        blob = self._blob(name)
        try:
            with _in_words(self._url(name)):
                blob.upload_from_string(value, if_generation_match=generation, retry=_RETRY)
        except exceptions.PreconditionFailed:
            found, now = self.pointer(name)
            if not now and generation:
                return self._put(name, value, 0)
            if found != value:
                raise StoreConflictError(f"{self._url(name)} was taken by another process") from None
            return now  # the answer to a request that came through was lost
        return int(blob.generation)

    def _give_back(self, name: str, value: bytes) -> None:
        """Delete a lease, unless another holds it."""
        found, now = self.pointer(name)
        if now and found == value:
            with contextlib.suppress(FileNotFoundError, exceptions.PreconditionFailed), _in_words(self._url(name)):
                self._blob(name).delete(if_generation_match=now, retry=_RETRY)

    def _is_held(self, name: str) -> bool:
        try:
            with _in_words(self._url(name)):
                blob = self._blob(name)
                blob.reload(retry=_RETRY)
        except FileNotFoundError:
            return False
        return bool(self.now() - blob.updated.timestamp() < _LEASE_SECONDS)

    def pointer(self, name: str) -> tuple[bytes, int]:
        """Return a pointer's value and its generation, ``(b"", 0)`` if it was never set."""
        while True:
            blob = self._blob(name)
            try:
                with _in_words(self._url(name)):
                    blob.reload(retry=_RETRY)
            except FileNotFoundError:
                return b"", 0
            # Set anew between the two requests, this generation is gone; that is no pointer that was never set.
            with contextlib.suppress(FileNotFoundError), _in_words(self._url(name)):
                data = self._blob(name, blob.generation).download_as_bytes(retry=_RETRY)
                return data, int(blob.generation)

    def swap(self, name: str, value: bytes, generation: int) -> None:
        """Set a pointer if its generation is still the one given.

        Raises:
            StoreConflictError: if another process set it since.
        """
        blob = self._blob(name)
        blob.cache_control = "no-store"
        try:
            with _in_words(self._url(name)):
                blob.upload_from_string(value, "application/json", if_generation_match=generation, retry=_RETRY)
        except exceptions.PreconditionFailed:
            # The answer to a request that came through may be lost, and the request sent again.
            if self.pointer(name)[0] != value:
                raise StoreConflictError(f"{self._url(name)} was set by another process") from None


class CloudOpener:
    """Opens objects for reading; a generation after the last ``#`` pins what is read, as in ``gs://bucket/name#1700000000000000``."""

    def open(self, path: str) -> BinaryIO:
        blob, size = self._look(path)
        return io.BufferedReader(_Reader(blob, size, path), _CHUNK)

    def stamp(self, path: str) -> str:
        return str(self._look(path)[0].generation)

    def _look(self, path: str) -> tuple[Any, int]:
        """Return an object that stands for one generation: every read of it is of that one, whatever is written meanwhile.

        Raises:
            ShardChangedError: if the pinned generation is gone.
        """
        url, generation = unpinned(path)
        try:
            with _in_words(path):
                blob = _bucket(url).blob(split_url(url)[1], generation=generation)
                blob.reload(retry=_RETRY)
        except FileNotFoundError:
            raise _gone(path) from None
        return _bucket(url).blob(split_url(url)[1], generation=blob.generation), blob.size


class _Reader(io.RawIOBase):
    """Ranged reads of one generation."""

    def __init__(self, blob: Any, size: int, path: str) -> None:
        self._blob, self._size, self._path, self._at = blob, size, path, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        count = min(len(buffer), self._size - self._at)
        if count <= 0:
            return 0
        try:
            with _in_words(self._path):
                data = self._blob.download_as_bytes(
                    start=self._at, end=self._at + count - 1, raw_download=True, retry=_RETRY
                )
        except FileNotFoundError:
            raise _gone(self._path) from None
        if len(data) != count:
            raise OSError(f"{self._path}: {len(data)} bytes came of {count} at {self._at}")
        buffer[:count] = data
        self._at += count
        return count


def _gone(path: str) -> ShardChangedError:
    return ShardChangedError(
        f"{path}: this generation is gone: the object was written anew or deleted since it was planned. Run again with its name among "
        "the inputs, or withdraw it with --exact; a bucket with versioning keeps what was overwritten"
    )


def unpinned(path: str) -> tuple[str, int]:
    """Return the address and the generation of ``address#generation``: all after the last ``#``, for names of objects may hold one too.

    Raises:
        UsageError: if there is none: a name that happens to end in ``#`` and digits must not be taken for a pinned other one.
    """
    url, mark, generation = path.rpartition("#")
    if not mark or not generation.isdecimal():
        raise UsageError(f"{path}: names no generation; reads are pinned, say {path}#GENERATION")
    return url, int(generation)


class Object(NamedTuple):
    """An object that was listed; its size is in bytes."""

    address: str
    generation: int
    size: int


def find(pattern: str) -> Iterator[Object]:
    """Give the objects that a pattern names: an object, a folder, or a glob.

    In globs, ``*`` and ``?`` stand for anything but ``/``, ``**`` for anything; an object of just that name comes before what they stand for.
    """
    bucket, name = split_url(pattern)
    if name and not WILDCARD.search(name):
        yield from _find_named(bucket, name)
        return
    if name and (exact := _find_exact(bucket, name)) is not None:
        yield exact
        return
    fixed = WILDCARD.split(name, maxsplit=1)[0]
    wanted = re.compile(_regex(name.rstrip("/")))
    with _in_words(pattern):
        for blob in _list(pattern, fixed):
            # A name with a slash at its end is a folder as consoles make it.
            if wanted.fullmatch(blob.name) and not blob.name.endswith("/"):
                yield Object(f"{SCHEME}{bucket}/{blob.name}", blob.generation, blob.size)


def _find_named(bucket: str, name: str) -> Iterator[Object]:
    """Give the object of a name, and all below it; what only begins with the name is not even listed."""
    url = f"{SCHEME}{bucket}/{name.rstrip('/')}"
    if (exact := _find_exact(bucket, name)) is not None:
        yield exact
    with _in_words(url):
        for blob in _list(url, f"{name.rstrip('/')}/"):
            if not blob.name.endswith("/"):
                yield Object(f"{SCHEME}{bucket}/{blob.name}", blob.generation, blob.size)


def _find_exact(bucket: str, name: str) -> Object | None:
    url = f"{SCHEME}{bucket}/{name}"
    if name.endswith("/"):
        return None
    with _in_words(url):
        blob = _bucket(url).get_blob(name, retry=_RETRY)
    return None if blob is None else Object(url, int(blob.generation), int(blob.size))


def _regex(name: str) -> str:
    """Return what a pattern matches; an empty one is the whole bucket."""
    if not name:
        return ".*"
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\])", name)
    said = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        said.get(part) or (fnmatch.translate(part)[4:-3] if part.startswith("[") else re.escape(part)) for part in parts
    )


def _list(url: str, prefix: str) -> Iterator[Any]:
    """Give objects page by page: what is held is one page, however many there are."""
    yield from _client(os.getpid()).list_blobs(
        split_url(url)[0],
        prefix=prefix,
        page_size=_PAGE,
        fields="items(name,size,updated,generation),nextPageToken",
        retry=_RETRY,
    )


def fetch_folder(url: str) -> Path:
    """Return a folder of this machine with the files of an artefact; :func:`models.artefact.read_artefact` checks their digests.

    Raises:
        FileNotFoundError: if nothing is there.
    """
    url = url.rstrip("/")
    bucket, name = split_url(url)
    found = {each.address: each.generation for each in _find_named(bucket, f"{name}/")}
    if not found:
        raise FileNotFoundError(url)
    # By generations: what is written anew is fetched anew.
    state = hashlib.sha256(repr((url, sorted(found.items()))).encode()).hexdigest()[:32]
    place = machine_folder() / "artefacts" / state
    with _locked(place):
        if place.exists():
            os.utime(place)
        else:
            with tempfile.TemporaryDirectory(dir=machine_folder()) as folder:
                near = Path(folder) / "files"
                for address, generation in found.items():
                    target = near / address[len(url) + 1 :]
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with _in_words(address):
                        blob = _bucket(address).blob(split_url(address)[1], generation=generation)
                        blob.download_to_filename(str(target), retry=_RETRY)
                _name(near, place)
    return place


def _name(near: Path, place: Path) -> None:
    """Give a finished copy, file or folder, the name by which it is believed: first its bytes survive a crash, then its name."""
    if near.is_dir():
        sync_tree(near)
    else:
        with near.open("rb") as file:
            os.fsync(file.fileno())
    near.rename(place)
    sync_folder(place.parent)


def machine_folder() -> Path:
    """Return this user's folder on this machine for files on their way and copies of objects: ``WINNOW_CACHE``, or a temporary one."""
    named = os.environ.get("WINNOW_CACHE")
    folder = Path(named) if named else Path(tempfile.gettempdir()) / f"winnow-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise UsageError(f"{folder} belongs to another user; name a folder of your own in WINNOW_CACHE")
    _drop_unused(folder, os.getpid())
    return folder


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Let one process of this machine fetch what all want."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / f".{place.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@functools.lru_cache(maxsize=16)
def _drop_unused(folder: Path, process: int) -> None:
    """Remove, once a process, what nobody asked for in a week: copies, and what processes that were killed left on its way.

    Who has a file open keeps it.
    """
    del process
    before = time.time() - _UNUSED_DAYS * 86_400
    for path in (folder / "objects").rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and path.stat().st_mtime < before:
                path.unlink()
    for path in (*folder.glob("tmp/*"), *folder.glob("artefacts/*"), *folder.glob("release-*"), *folder.glob("tmp*")):
        with contextlib.suppress(FileNotFoundError):
            if path == folder / "tmp" or path.stat().st_mtime >= before:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
