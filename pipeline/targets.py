"""What a person names, as the target of a withdrawal or a question: hashed where it may be somebody's."""

import functools
from dataclasses import replace

from models.addresses import folders_of, own_folder
from models.documents import Documents
from models.errors import UsageError
from models.keys import key_from, key_id
from models.tag_pass import PRIVATE_SOURCE, private_source
from models.taggers.personal import ENTITIES, Personal
from models.url_marks import DEEPEST, address_of, folder_mark, host_mark, url_mark
from models.withdrawals import Target, record_target, source_target, work_target

HIDDEN = "(personal)"
"""Shown in place of a name that holds personal data."""


def target_of(named: dict[str, str | None], key_env: str | None) -> Target:
    """Return the target that one option names.

    Args:
        named: values of the options ``work``, ``subject``, ``source``, ``url`` and ``record``; exactly one is given.
        key_env: variable that holds the corpus's key, for subjects, and sources that hold personal data.

    Raises:
        UsageError: if none or several are given, or what is named cannot be looked for.
    """
    given = {kind: value for kind, value in named.items() if value is not None}
    if empty := [f"--{kind}" for kind, value in given.items() if not value.strip()]:
        raise UsageError(f"{', '.join(empty)}: nothing is named; say what is meant")
    if len(given) != 1:
        raise UsageError("say what is meant by exactly one of --work, --subject, --source, --url, --record")
    [(kind, value)] = given.items()
    match kind:
        case "work":
            return work_target(value)
        case "subject":
            return _subject(value, key_env)
        case "source":
            return _source(value, key_env)
        case "url":
            return _told_apart(_url(value))
    return _told_apart(record_target(value, shown(value)))


def shown(name: str) -> str:
    """Return a name, or a word in its place if it holds personal data."""
    return HIDDEN if _personal().tag(Documents.of([name])).table.num_rows else name


def _told_apart(target: Target) -> Target:
    """Add the start of its mark to a target that is shown as personal: two such must not look alike."""
    if HIDDEN not in target.shown:
        return target
    return replace(target, shown=f"{target.shown} {target.marks[0].partition(':')[2][:8]}")


@functools.cache
def _personal() -> Personal:
    return Personal(entities=ENTITIES)


def _subject(value: str, key_env: str | None) -> Target:
    key = key_from(key_env)
    if key is None:
        raise UsageError(
            "a person is looked for by keyed hashes: name the variable with the key that runs use (--key-env NAME, as key_env of "
            "the run file)"
        )
    found: dict[str, set[str]] = {}
    # Each kind by itself: what is a mobile number to one run is a telephone number to another that does not look for those.
    for entity in ENTITIES:
        table = Personal(entities=(entity,), key_env=key_env).tag(Documents.of([value])).table
        for category, hashed in zip(table["category"].to_pylist(), table["value_hmac"].to_pylist(), strict=True):
            if hashed is not None:
                found.setdefault(category, set()).add(hashed)
    if not found:
        raise UsageError(
            "--subject: no kind of personal data is recognised in it; give the identifier alone, telephone numbers with their "
            "calling code (+81…)"
        )
    marks = sorted({f"hmac:{hashed}" for hashes in found.values() for hashed in hashes})
    return Target("subject", tuple(marks), ", ".join(sorted(found)), key_id(key))


def _source(name: str, key_env: str | None) -> Target:
    if shown(name) == name or name.startswith(PRIVATE_SOURCE[:-1]):
        return source_target(name)
    hidden = private_source(name, key_from(key_env))
    if hidden == PRIVATE_SOURCE:
        raise UsageError(
            "--source: it holds personal data, and without a key all such sources have one name; withdraw its records or URLs, or "
            "name the key that runs use (--key-env)"
        )
    return source_target(hidden)


def _url(url: str) -> Target:
    url = url.strip()
    if "/" not in url and ":" not in url:
        host = address_of(f"//{url}").host  # it is one, with or without a dot
        if not host:
            raise UsageError(f"--url {shown(url)}: no host can be read from it; check the spelling")
        return Target("url", (f"under:{host_mark(host).hex()}",), f"{shown(host)} and hosts below it")
    if not url.endswith("*"):
        address = address_of(url)
        return Target("url", (f"url:{url_mark(address).hex()}",), shown(address.whole))
    address = address_of(url[:-1])
    if not url.endswith("/*") or not address.host or "?" in address.rest:
        raise UsageError(
            f"--url {shown(url)}: a part of a site ends at a slash; say https://HOST/FOLDER/*, or HOST alone"
        )
    folders = folders_of(address)
    if len(folders) > DEEPEST + 1:
        raise UsageError(f"--url {shown(url)}: at most {DEEPEST} folders deep; name a folder further up, or its pages")
    marks = [f"under:{folder_mark(folders[-1]).hex()}"]
    page = address._replace(rest=address.rest.removesuffix("/"))
    if len(folders) > 1 and own_folder(page) == folders[-1]:
        # Without its slash it is the same part of the site, as for a blocked prefix.
        marks.append(f"url:{url_mark(page).hex()}")
    return Target("url", tuple(marks), f"{shown(folders[-1])}*")
