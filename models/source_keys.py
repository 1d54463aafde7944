"""Source keys: which source a record counts for, and what lies above that source.

A key is a string that tells its kind, so that no two kinds ever meet:

- ``example.org``: a registrable domain, a host, or a host with the beginning of a path (``blogs.example/ada``), of web pages;
- ``dataset:PUBLISHER/NAME@VERSION``, ``dataset:NAME``: of what somebody published or sold; in a part, ``%``, ``/`` and ``@`` are escaped as in URLs;
- ``user:PRODUCT/TENANT``: of what users typed;
- ``(unknown)``: of records that say nothing that can be read. Such a record never counts for a source that is known.

The reading is that of TC260-003 (2024-02-29), 5.1 a and c: a list of URLs counts for what its URLs point to (5.1 c1, note 1). A registrable
domain is what somebody registered below a public suffix (https://publicsuffix.org), by the list that tldextract brings along. Nothing is fetched;
the list is part of :attr:`models.source_rules.SourceRules.digest`, for it decides keys.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.addresses import LONGEST, Address, canonical_url, suffixes_of
from models.columns import UNKNOWN_SOURCE, suffixes
from models.source_rules import HOST, Shared, SourceRules

DATASET, PUBLISHER, USER = "dataset:", "publisher:", "user:"

# RE2, for Arrow: what stands before the path of URLs whose host can be told from that alone.
_HEAD = r"^(?P<head>(?:https?://|//)?[^/?#\\\s:]+(?::[0-9]+)?)(?:[/?#](?s:.*))?$"


_NOT_A_POINTER = ("", "false", "0", "no", "n", "none", "null")
"""What a column says of records that are no lists of URLs; anything else names or affirms one."""


@functools.lru_cache(maxsize=1 << 16)
def site_of_host(host: str, private: bool) -> str:
    """Return the registrable domain of a canonical host, or the host where it has none: an address, a suffix, a single label.

    Args:
        private: whether the private part of the list counts.
    """
    if host.startswith("[") or host.replace(".", "").isdigit():
        return host
    found = suffixes()(host, include_psl_private_domains=private)
    if found.suffix:
        labels = found.suffix.count(".") + 2
        return ".".join(host.split(".")[-labels:])
    return ".".join(host.split(".")[-2:])  # the list's default rule ``*``


def web_key(address: Address | None, rules: SourceRules) -> str:
    """Return the key of a page; :data:`UNKNOWN_SOURCE` if its URL could not be read or its host is no name that hosts have."""
    if address is None or not HOST.fullmatch(address.host):
        return UNKNOWN_SOURCE
    host = address.host
    if rules.shared:
        segments = [each for each in address.rest.partition("?")[0].split("/")[1:] if each]
        for length in range(len(segments), 0, -1):
            if (found := rules.places.get("/".join([host, *segments[:length]]))) is not None:
                return _shared_key(found, host, segments, length)
        for domain in suffixes_of(host):
            if (found := rules.places.get(domain)) is not None:
                return _shared_key(found, host, segments, 0)
    return host if rules.site == "host" else site_of_host(host, rules.private_suffixes)


def _shared_key(found: Shared, host: str, segments: Sequence[str], length: int) -> str:
    if found.each == "host":
        return host
    if found.each == "site":
        return found.under
    # Of the host that has it, be that below ``under``: a path means something on its own host alone.
    deep = length + found.segments
    return "/".join([host, *segments[: deep if len(segments) >= deep else length]])


def keys_of_urls(urls: pa.Array, rules: SourceRules) -> pa.Array:
    """Return the keys of pages; strings, shape (n,), no nulls.

    Of URLs that begin alike only one is read, so it costs about a microsecond a record.

    Args:
        urls: strings, shape (n,); null and empty ones are unknown.
    """
    heads = pc.struct_field(pc.extract_regex(urls, _HEAD), 0)
    heads = pc.if_else(pc.greater(pc.utf8_length(urls), LONGEST), pa.scalar(None, pa.string()), heads)
    encoded = heads.dictionary_encode()
    known = [_of_head(head) for head in encoded.dictionary.to_pylist()]
    keys = pa.array([_key_of_head(address, rules) for address in known], pa.string())
    found = keys.take(encoded.indices)
    # What cannot be told by its beginning: odd spellings, and hosts that are shared by path.
    whole = np.flatnonzero(pc.and_(pc.is_null(found), pc.is_valid(urls)).to_numpy(zero_copy_only=False))
    if len(whole):
        odd = urls.take(pa.array(whole)).to_pylist()
        # Each once: a column may be full of ``N/A``.
        read = {url: web_key(canonical_url(url), rules) for url in set(odd)}
        own = [read[url] for url in odd]
        found = pc.replace_with_mask(found, _mask(whole, len(urls)), pa.array(own, pa.string()))
    return pc.fill_null(found, UNKNOWN_SOURCE)


def _mask(rows: npt.NDArray[np.int64], size: int) -> pa.Array:
    mask = np.zeros(size, bool)
    mask[rows] = True
    return pa.array(mask)


@functools.lru_cache(maxsize=1 << 16)
def _of_head(head: str) -> Address | None:
    # Whole, with its slash: what ends here would else lose a quote or bracket that within a URL is a fault.
    return canonical_url(f"{head}/")


def _key_of_head(address: Address | None, rules: SourceRules) -> str | None:
    """Return the key of all URLs with a beginning, None if they have several."""
    return (
        None if address is None or address.host in rules.hosts or _is_above(address, rules) else web_key(address, rules)
    )


def _is_above(address: Address, rules: SourceRules) -> bool:
    # A rule by path on a domain holds for the hosts below it too.
    return bool(rules.hosts) and any(each in rules.hosts for each in suffixes_of(address.host))


def dataset_key(publisher: str | None, dataset: str | None, version: str | None) -> str | None:
    """Return the key of a published dataset, None where there is no name."""
    dataset = (dataset or "").strip()
    publisher, version = (publisher or "").strip(), (version or "").strip()
    if not dataset:
        return None
    if not publisher and dataset.count("/") == 1 and not dataset.startswith("/") and not dataset.endswith("/"):
        publisher, _, dataset = dataset.partition("/")
    name = f"{_part(publisher)}/{_part(dataset)}" if publisher else _part(dataset)
    return f"{DATASET}{name}@{_part(version)}" if version else f"{DATASET}{name}"


def user_key(product: str | None, tenant: str | None) -> str | None:
    """Return the key of what the users of a product typed, None where no product is named: a tenant alone could be anybody's."""
    product, tenant = (product or "").strip(), (tenant or "").strip()
    if not product:
        return None
    return f"{USER}{_part(product)}/{_part(tenant)}" if tenant else f"{USER}{_part(product)}"


_ESCAPED = re.compile(r"[%/@\x00-\x20\x7f]")


def _part(value: str) -> str:
    return _ESCAPED.sub(lambda match: quote(match[0], safe=""), value)


def keys_of(columns: Mapping[str, pa.Array], urls: pa.Array, rules: SourceRules) -> pa.Array:
    """Return the keys of records; strings, shape (n,), no nulls.

    Args:
        columns: strings, shape (n,) each, by the names of :class:`SourceColumns`; those that there are.
        urls: strings, shape (n,).
    """
    keys = keys_of_urls(urls, rules)
    named = _named(columns, ("publisher", "dataset", "version"), dataset_key)
    keys = keys if named is None else pc.coalesce(named, keys)
    named = _named(columns, ("product", "tenant"), user_key)
    keys = keys if named is None else pc.coalesce(named, keys)
    if (pointer := columns.get("pointer")) is None:
        return keys
    said = pc.utf8_lower(pc.utf8_trim_whitespace(pointer))
    is_pointer = pc.and_(pc.is_valid(said), pc.invert(pc.is_in(said, pa.array(_NOT_A_POINTER))))
    return pc.if_else(is_pointer, keys_of_urls(urls, rules), keys)


def _named(columns: Mapping[str, pa.Array], names: Sequence[str], key: Callable[..., str | None]) -> pa.Array | None:
    """Return what a function of columns says, asked once for what occurs together; None if there is none of the columns."""
    there = [columns[name] for name in names if name in columns]
    if not there:
        return None
    codes = np.zeros(len(there[0]), np.int64)
    for column in there:
        encoded = column.dictionary_encode()
        own = pc.fill_null(encoded.indices, -1).to_numpy() + 1
        codes = np.unique(codes * (len(encoded.dictionary) + 1) + own, return_inverse=True)[1]
    _, first, back = np.unique(codes, return_index=True, return_inverse=True)
    rows = first.tolist()
    values = [
        columns[name].take(pa.array(rows)).to_pylist() if name in columns else [None] * len(rows) for name in names
    ]
    return pa.array([key(*each) for each in zip(*values, strict=True)], pa.string()).take(pa.array(back))


def canonical_key(key: str) -> str:
    """Return a key of a site as tables have it, from what a person writes (``HTTPS://Blogs.Example/ada/``); other keys stay as they are."""
    if key == UNKNOWN_SOURCE or key.startswith((DATASET, PUBLISHER, USER)):
        return key
    address = canonical_url(key)
    if address is None or not HOST.fullmatch(address.host):
        return key
    path = address.rest.partition("?")[0].rstrip("/")
    return address.host + path


def parents_of(key: str) -> tuple[str, ...]:
    """Return what lies above a source, the nearest first.

    ``blogs.example/ada`` lies in its host, that in its registrable domain with the private part of the list and then without it;
    ``dataset:P/N@V`` in ``dataset:P/N`` and ``publisher:P``; ``user:P/T`` in ``user:P``.
    """
    if key == UNKNOWN_SOURCE:
        return ()
    if key.startswith(DATASET):
        whole, _, version = key.partition("@")
        publisher, mark, _ = whole.removeprefix(DATASET).partition("/")
        return ((whole,) if version else ()) + ((PUBLISHER + publisher,) if mark else ())
    if key.startswith(USER):
        product, mark, _ = key.partition("/")
        return (product,) if mark else ()
    if key.startswith(PUBLISHER):
        return ()
    host = key.partition("/")[0]
    chain = [key, host, site_of_host(host, True), site_of_host(host, False)]
    return tuple(dict.fromkeys(chain))[1:]


def state_under(key: str, states: Mapping[str, str], order: Sequence[str]) -> str:
    """Return the state that holds for a source: the worst of its own and those decided for what it lies in.

    So a parent never clears a worse child; one that is worse condemns those below it.

    Args:
        states: decided ones, by key; a source without one has the first of ``order``.
        order: all states, from the best to the worst.

    Raises:
        ValueError: if a state is not in ``order``.
    """
    return worst((states[each] for each in (key, *parents_of(key)) if each in states), order)


def worst(states: Iterable[str], order: Sequence[str]) -> str:
    """Return the worst of states, the first of ``order`` if there are none."""
    return order[max((order.index(each) for each in states), default=0)]
