"""Addresses in one form: hosts and URLs as the WHATWG URL Standard reads them (https://url.spec.whatwg.org), by ada.

Two URLs are one if browsers, or a server that keeps to RFC 3986, would fetch the same: scheme, port and host are canonical (lower case,
Punycode, numbers of IPv4, default ports gone), dot segments resolved, percent-escapes of unreserved characters undone (RFC 3986, 6.2.2)
and others in upper case. Beyond that: ``http`` and ``https`` are one; user names, passwords and fragments, the last dot of a host and an
empty query are left out. The case of paths and the order of queries stay: servers tell them apart.

What people and programs write around a URL is no part of it: white space, invisible characters, quotes and brackets, another scheme before
its own (``view-source:https://…``). What is then not plainly an address is none, rather than one of a host that nobody meant: lists
and withdrawals must be able to tell that they could not look.
"""

import functools
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

from ada_url import URL

LONGEST = 1 << 16
"""Characters of a URL; a longer one is not looked at."""
LONGEST_HOST = 253
"""Characters of a host, as of names in DNS (RFC 1035, 2.3.4)."""

DOTS = ".\u3002\uff0e\uff61"
"""What hosts may have between labels (UTS 46)."""

_WEB = ("http:", "https:")
PLAIN_HOST = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
"""Hosts that are canonical as they stand, but for Punycode, which needs checking, and addresses of digits."""
_PLAIN_HOST = re.compile(PLAIN_HOST)
# What is escaped and has to be, in upper case.
_KEPT_ESCAPE = r"%(?:[0189A-F][0-9A-F]|2[0-9A-CF]|3[A-F]|40|5[B-E]|60|7[B-DF])"
_PLAIN = rf"(?:[A-Za-z0-9._~!$&()*+,;=:@-]|{_KEPT_ESCAPE})"
_PLAIN_QUERY = rf"(?:\?(?:[A-Za-z0-9._~!$&()*+,;=:@/-]|{_KEPT_ESCAPE})+)?"
# No dot at the start of a segment, no upper case in the host.
_PLAIN_URL = re.compile(
    r"https?://((?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]*[a-z0-9])"
    rf"((?:/(?!\.){_PLAIN}*+)+{_PLAIN_QUERY})?(?:#.*)?",
    re.DOTALL,
)
PLAIN_END = re.compile(rf"(?!\.){_PLAIN}*+{_PLAIN_QUERY}")
"""Name and query, behind the last slash of a path, that are canonical as they stand."""
_WITH_PORT = re.compile(r"[^/?#:@\s.]++\.[^/?#:@\s]++:\d")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)(//)?")
# Schemes that need no slashes to be one: those of the standard, and those of names and contents, which lead to no host.
_BARE_SCHEMES = frozenset(["http:", "https:", "ws:", "wss:", "ftp:"])
_HOSTLESS = frozenset(
    ["ark:", "cid:", "data:", "doi:", "file:", "hdl:", "info:", "magnet:", "mailto:", "mid:", "tag:", "tel:", "urn:"]
)
_SPECIAL = _BARE_SCHEMES | {"file:"}
# A scheme with a dot may be a host: ``blocked.example:https://…``.
_WRAPPED = re.compile(r"(?:[a-z][a-z0-9+-]*:[/\\\s]*+)+(?=https?:[/\\])", re.IGNORECASE)
# Written so that nobody clicks on them, and by readers of feeds.
_ALSO_WEB = re.compile(r"(?:hxxps?|feed)://", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
# Browsers read ``10.1000/182`` and ``1.5`` as addresses of digits; only four parts are plainly one.
_NUMBER = re.compile(r"(?!(?:[0-9]+\.){3}[0-9]+\.?(?:[/?#\\]|$))[0-9.]+(?:[/?#\\]|$)")
_NO_HOSTS = frozenset(["http", "https"])
"""Hosts that are a scheme in the wrong place: ``https://https//x.example``."""
_IPV6 = re.compile(r"\[[0-9A-Fa-f:.]*+\]")
_PAIRS = dict(zip("\"'`([{<“‘„«‹（［｛＜「『【〔〈《〝＂＇", "\"'`)]}>”’“»›）］｝＞」』】〕〉》〞＂＇", strict=True))
_UNSEEN = frozenset(["Cc", "Cf", "Zl", "Zp", "Zs"])
_JOINERS = "\u200c\u200d"
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
_ROUNDS = 20


class Address(NamedTuple):
    """A URL in canonical form.

    Attributes:
        host: without port and last dot; empty where the scheme has none (``urn:``).
        rest: port (but 80 and 443 of the web), path and query, or all behind the scheme where there is no host.
        scheme: empty for ``http`` and ``https``.
    """

    host: str
    rest: str
    scheme: str

    @property
    def place(self) -> str:
        """Scheme and host, by which URLs are sought first."""
        return f"{self.scheme}{self.host}"

    @property
    def whole(self) -> str:
        """The URL; two are one if this is equal."""
        return f"{self.scheme}{self.host}{self.rest}"


@functools.lru_cache(maxsize=1 << 14)
def canonical_host(host: str) -> str | None:
    """Return a host in canonical form, None if it is none: it has a port, a path, a wildcard or characters that hosts have not.

    ``BÜCHER.example.`` is ``xn--bcher-kva.example``, ``0x7f.1`` is ``127.0.0.1``.
    """
    if _PLAIN_HOST.fullmatch(host) and "xn--" not in host and not _may_be_number(host):
        return host if len(host) <= LONGEST_HOST else None
    if not host or len(host) > LONGEST or set(host) & set("/?#@\\*% \t\r\n") or (":" in host and host[:1] != "["):
        return None
    try:
        found = URL(f"http://{host}/").hostname.removesuffix(".")  # one: a second would leave an empty label
    except ValueError:
        return None
    return found if _is_name(found) else None


def _is_name(host: str) -> bool:
    return len(host) <= LONGEST_HOST and _HOST.fullmatch(host) is not None


def _may_be_number(host: str) -> bool:
    # The standard's "ends in a number": the last label is digits or 0x…
    last = host.rsplit(".", 1)[-1]
    return last.isdigit() or last.startswith("0x")


def canonical_url(url: str) -> Address | None:
    """Return a URL in canonical form, None if it cannot be read as one or is too long.

    What has no scheme is read as a web address (``host.example/path``), as people write them; a path alone names no place and is None.
    """
    return plain_url(url) or _parsed(url)


def plain_url(url: str) -> Address | None:
    """Return a web URL that is canonical as it stands, but for its fragment; None for all others, which need the parser."""
    # Most are, and the parser takes ten times as long.
    match = _PLAIN_URL.fullmatch(url)
    if (
        match is None
        or len(match[1]) > LONGEST_HOST
        or len(url) > LONGEST
        or _may_be_number(match[1])
        or "xn--" in match[1]
    ):
        return None
    return Address(match[1], match[2] or "/", "")


def _parsed(url: str) -> Address | None:
    url = _bare(url)
    if not url.isprintable():
        # The standard takes tabs and line feeds out; so that evasion by them is not worth the while, so do we.
        url = re.sub(r"[\t\r\n]", "", url)
    if not url or len(url) > LONGEST:
        return None
    if wrapped := _WRAPPED.match(url):
        url = url[wrapped.end() :]
    url = _ALSO_WEB.sub("http://", url, count=1) if _ALSO_WEB.match(url) else url
    is_guess, written = False, ""
    if url.startswith("//"):
        url = f"http:{url}"
    elif not _has_scheme(url):
        # ``4711`` and ``2024/11`` are numbers too.
        if url[0] in "/\\?#." or _NUMBER.match(url):
            return None
        is_guess, written = True, re.split(r"[/?#\\]", url, maxsplit=1)[0]
        url = f"http://{url}"
    for _ in range(_ROUNDS):
        try:
            parsed = URL(url)
        except ValueError:
            return None
        address = _address(parsed)
        if address is None:
            return None
        again = f"{parsed.protocol}{'//' if address.host else ''}{address.host}{address.rest}"
        if again == url:
            # A host without a dot is one where somebody says so (``http://wiki/``); a word or number alone (``null``, ``N/A``) is none.
            return None if is_guess and not _has_dot(written) and address.host[:1] != "[" else address
        url = again
    return None


def _has_dot(host: str) -> bool:
    # As written: browsers make an address with dots of any number.
    return any(dot in unquote(host) for dot in DOTS)


def _bare(url: str) -> str:
    """Return what stands between white space, invisible characters, quotes and brackets; those behind go only with those before."""
    url = _seen(url)
    for _ in range(_ROUNDS):
        closing = _PAIRS.get(url[:1])
        if closing is None or _IPV6.match(url):
            break
        opening, url = url[0], url[1:]
        # ``(https://x.example/a_(b)`` lacks its end.
        if url.endswith(closing) and (opening == closing or url.count(closing) > url.count(opening)):
            url = url[:-1]
        url = _seen(url)
    return url


def _seen(url: str) -> str:
    """Return a text without white space, controls and format characters at its ends."""
    if url[:1].isalnum() and "!" <= url[-1:] <= "~":
        return url
    first, last = 0, len(url)
    while first < last and unicodedata.category(url[first]) in _UNSEEN:
        first += 1
    # Words of some scripts end with a joiner.
    while first < last and url[last - 1] not in _JOINERS and unicodedata.category(url[last - 1]) in _UNSEEN:
        last -= 1
    return url[first:last]


def _has_scheme(url: str) -> bool:
    # ``user:password@host`` and ``host:/path`` look as if they had one.
    match = _SCHEME.match(url)
    if match is None or _WITH_PORT.match(url):
        return False
    scheme = match[1].lower()
    return match[2] is not None or scheme in _BARE_SCHEMES or scheme in _HOSTLESS


def _address(parsed: URL) -> Address | None:
    scheme = parsed.protocol
    host = parsed.hostname.rstrip(".")
    if host and scheme not in _SPECIAL:
        # The standard leaves these as they are written. A bucket's name may be digits.
        host = host if host.isdigit() else canonical_host(unquote(host)) or ""
        if not host:
            return None
    if host in _NO_HOSTS or not (_is_name(host) if host else scheme in _HOSTLESS):
        return None
    is_web = scheme in _WEB
    port = f":{parsed.port}" if parsed.port and not (is_web and parsed.port in ("80", "443")) else ""
    query = parsed.search if parsed.search != "?" else ""
    rest = f"{port}{_unescaped(parsed.pathname)}{_unescaped(query)}"
    return Address(host, rest, "" if is_web else scheme)


def _unescaped(part: str) -> str:
    if "%" not in part:
        return part
    return _ESCAPE.sub(lambda match: _plain(match[0]), part)


def _plain(escape: str) -> str:
    char = chr(int(escape[1:], 16))
    return char if char in _UNRESERVED else escape.upper()


def suffixes_of(host: str) -> Iterator[str]:
    """Give a host and the domains that it lies in, on the borders of labels; an address of digits lies in none."""
    yield host
    if host.startswith("[") or host.replace(".", "").isdigit():
        return
    while "." in host:
        host = host.split(".", 1)[1]
        yield host


def prefixes_of(address: Address) -> Iterator[str]:
    """Give the beginnings of a URL on the borders of segments, without a last slash: ``h``, ``h/a``, ``h/a/b``, and where a query follows."""
    path = address.rest.partition("?")[0]
    whole = address.place
    at = path.find("/")
    yield whole + (path if at < 0 else path[:at])
    while at >= 0:
        after = path.find("/", at + 1)
        if (after if after >= 0 else len(path)) > at + 1:
            yield whole + (path if after < 0 else path[:after])
        at = after


def own_folder(address: Address) -> str:
    """Return the URL as a folder, without its query: ``h/a/`` of ``h/a?q``; a folder is itself. ``h/a`` and what lies below it are one part of a site."""
    path = address.rest.partition("?")[0]
    return f"{address.place}{path}" + ("" if path.endswith("/") else "/")


def folders_of(address: Address) -> list[str]:
    """Return the folders that a URL lies in, from the root on, each with the slash at its end: ``h/``, ``h/a/``; none without a host."""
    if not address.host:
        return []
    port, *folders = address.rest.partition("?")[0].split("/")[:-1] or [""]
    return [address.place + port + "/" + "".join(f"{each}/" for each in folders[:n]) for n in range(len(folders) + 1)]
