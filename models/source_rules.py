"""Rules by which sources are told apart, as an operator writes them, and the public suffix list that they rest on."""

import functools
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field, field_validator

from models.addresses import canonical_url
from models.digest import digest_of, digest_of_file
from models.strict import Strict

VERSION = 2
"""Of the way that keys are made; part of the rules' digest."""

_LIST = ".tld_set_snapshot"
_NAMED = re.compile(r"^// (VERSION|COMMIT): (\S+)$", re.MULTILINE)
HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]+\]")


class SuffixList(NamedTuple):
    """The public suffix list in use: ``version`` (a time) and ``commit`` as it says itself, and the SHA-256 of its bytes."""

    version: str
    commit: str
    sha256: str


@functools.cache
def suffix_list() -> SuffixList:
    """Return what the list that comes with tldextract says of itself."""
    path = Path(str(files("tldextract") / _LIST))
    with path.open(encoding="utf-8") as file:
        said = dict(_NAMED.findall(file.read(4096)))
    return SuffixList(said.get("VERSION", ""), said.get("COMMIT", ""), digest_of_file(path))


class Shared(Strict):
    """A site that many share, so that its registrable domain is not one source.

    Attributes:
        under: a host, with the hosts below it, or a host and the beginning of a path, of that very host. The longest that fits a URL decides.
        each: ``site``: all of it is one source of its own; ``host``: each host below it is; ``path``: each beginning of ``segments`` segments
            behind ``under`` is. What has too few of them counts for ``under``, or the host below it.
        segments: 1 to 8.
    """

    under: str
    each: Literal["site", "host", "path"] = "site"
    segments: int = Field(1, ge=1, le=8)

    @field_validator("under")
    @classmethod
    def _canonical(cls, value: str) -> str:
        address = None if "?" in value or "#" in value else canonical_url(value)
        if address is None or address.scheme or not HOST.fullmatch(address.host) or address.rest[:1] == ":":
            raise ValueError(
                "must be a host such as blogs.example (with http:// where it has no dot), or one with a path such as "
                f"blogs.example/of, is {value!r}"
            )
        return address.host + address.rest.rstrip("/")


class SourceColumns(Strict):
    """Columns that name the source of a record; paths as in ``columns``.

    Attributes:
        publisher, dataset, version: of what was published or sold. A dataset called ``owner/name`` without a publisher has its owner as one.
        product, tenant: of what users typed.
        pointer: not empty where a dataset only lists URLs; the record then counts for what its URL points to, whatever else it says.
    """

    publisher: str | None = None
    dataset: str | None = None
    version: str | None = None
    product: str | None = None
    tenant: str | None = None
    pointer: str | None = None


class SourceRules(Strict):
    """How sources are told apart.

    A record counts for the first of these that it names: the target of a pointer, product and tenant, dataset, the site of its URL.

    Attributes:
        columns: where product, dataset and so on stand.
        site: what is one source of pages: a registrable ``domain``, or every ``host``.
        private_suffixes: whether names of the list's private part (``github.io``, ``blogspot.com``) are suffixes too, so that everybody who has a
            name below one is a source: who writes there is not who owns the platform, and one must neither clear nor condemn the other.
        shared: sites to be cut finer, or held together.
    """

    columns: SourceColumns = Field(default_factory=SourceColumns)
    site: Literal["domain", "host"] = "domain"
    private_suffixes: bool = True
    shared: tuple[Shared, ...] = ()

    @field_validator("shared")
    @classmethod
    def _once(cls, value: tuple[Shared, ...]) -> tuple[Shared, ...]:
        places = [each.under for each in value]
        if twice := sorted({place for place in places if places.count(place) > 1}):
            raise ValueError(f"{twice[0]} stands there twice; leave one out")
        return value

    @functools.cached_property
    def digest(self) -> str:
        """Digest of all that decides keys: the rules, this code's version, and the public suffix list."""
        return digest_of({"version": VERSION, "suffixes": suffix_list().sha256, "rules": self.model_dump(mode="json")})

    @functools.cached_property
    def places(self) -> Mapping[str, Shared]:
        """The shared sites by where they are."""
        return {each.under: each for each in self.shared}

    @functools.cached_property
    def hosts(self) -> frozenset[str]:
        """Hosts of which a part is shared by its path: their URLs are looked at whole."""
        return frozenset(
            each.under.partition("/")[0] for each in self.shared if "/" in each.under or each.each == "path"
        )
