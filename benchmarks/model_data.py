"""Data for the demonstration models and their benchmark: benign text out of Debian packages, and labelled text without handles.

    python benchmarks/model_data.py FOLDER DATA        # DATA: the development data, with harm/ and corpora/

Writes JSON Lines with ``text`` and ``origin``. Packages are fetched by ``apt-get download`` and only unpacked. What is trained on, what a
threshold is chosen on and what is measured come from different packages, or where one package serves two ends, from different
documents of it.
"""

import argparse
import gzip
import hashlib
import html
import itertools
import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

PACKAGES = (
    *(
        "manpages-zh",
        "fortunes-zh",
        "debian-reference-zh-cn",
        "debian-faq-zh-cn",
        "debian-edu-doc-zh-cn",
        "maint-guide-zh-cn",
    ),
    *("kicad-doc-zh", "python3.11-doc", "manpages", "dict-wn", "fortunes", "libreoffice-help-zh-cn"),
)
LEAST = 25
"""Characters of a paragraph that is a record."""
MOST = 2000
"""Characters of one; the rest is left out."""
BLOCK = re.compile(r"(?i)</?(p|div|li|h\d|td|tr|dd|dt|ul|br)\b[^>]*>")


def half(text: str) -> bool:
    """Return on which side of a split a text or document is, by its hash."""
    return hashlib.sha256(text.encode()).digest()[0] < 128


def of_html(path: Path) -> str:
    """Return the text of a page, a paragraph a line."""
    text = re.sub(r"(?is)<(script|style|pre)\b.*?</\1>", " ", path.read_text("utf-8", "replace")).replace("\n", " ")
    return html.unescape(re.sub(r"<[^>]+>", "", BLOCK.sub("\n", text)))


def of_man(path: Path) -> str:
    """Return the text of a manual page without its most usual requests, a paragraph a line."""
    paragraphs: list[list[str]] = [[]]
    for line in gzip.decompress(path.read_bytes()).decode("utf-8", "replace").split("\n"):
        if line.startswith(('.\\"', "'\\\"")):
            continue
        if not line.strip() or re.match(r"[.'](SH|SS|TP|PP|P|LP|IP|TH|HP|br|sp)", line):
            paragraphs.append([])
        line = re.sub(r"^[.']\s*[A-Za-z]{1,2}\b ?", "", line)
        paragraphs[-1].append(
            re.sub(r"\\f[A-Z]|\\f\(..|\\&|\\s[+-]?\d", "", line).replace("\\-", "-").replace("\\", "")
        )
    return "\n".join(" ".join(paragraph) for paragraph in paragraphs)


def paragraphs(files: Iterable[Path], read: Callable[[Path], str]) -> Iterator[tuple[str, str]]:
    """Give name of document and text of each paragraph that is long enough."""
    for path in sorted(files):
        for line in read(path).split("\n"):
            text = " ".join(line.split())
            if len(text) >= LEAST:
                yield path.name, text[:MOST]


def chinese(found: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Leave out paragraphs with few Han characters."""
    return ((name, text) for name, text in found if len(re.findall("[\u4e00-\u9fff]", text)) >= 10)


def fortunes(folder: Path) -> Iterator[tuple[str, str]]:
    """Give the sayings and poems, each a document of its own."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.suffix:
            for text in path.read_text("utf-8", "replace").split("\n%"):
                plain = re.sub(r"\x1b\[[0-9;]*m", "", text).strip()
                yield plain, plain


def glosses(folder: Path) -> Iterator[tuple[str, str]]:
    """Give the explanations of WordNet."""
    for path in sorted(folder.glob("wn.dict*")):
        text = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
        for entry in re.split(r"\n(?=\S)", text):
            plain = " ".join(entry.split())
            if len(plain) >= LEAST:
                yield plain, plain[:MOST]


def write(path: Path, origin: str, found: Iterable[tuple[str, str]]) -> None:
    """Write each text once."""
    seen = dict.fromkeys(text for _, text in found)
    with path.open("w", encoding="utf-8") as file:
        for text in seen:
            file.write(json.dumps({"text": text, "origin": origin}, ensure_ascii=False) + "\n")
    print(f"{path.name}: {len(seen):,}")


def split(found: Iterable[tuple[str, str]], wanted: bool) -> Iterator[tuple[str, str]]:
    """Give the documents on one side."""
    return ((name, text) for name, text in found if half(name) == wanted)


def from_packages(to: Path, share: Path) -> None:
    """Write what packages hold that are unpacked below ``share``."""
    doc, man = share / "doc", share / "man"
    write(to / "manpages-zh.jsonl", "manpages-zh", chinese(paragraphs((man / "zh_CN").rglob("*.gz"), of_man)))
    write(
        to / "debian-edu-zh.jsonl",
        "debian-edu-doc-zh-cn",
        chinese(paragraphs((doc / "debian-edu-doc-zh-cn").rglob("*.html"), of_html)),
    )
    write(
        to / "maint-guide-zh.jsonl",
        "maint-guide-zh-cn",
        chinese(paragraphs(share.rglob("maint-guide*/**/*.html"), of_html)),
    )
    reference = paragraphs((share / "debian-reference").glob("*.zh-cn.html"), of_html)
    write(to / "debian-reference-zh.jsonl", "debian-reference-zh-cn", chinese(reference))
    write(
        to / "debian-faq-zh.jsonl",
        "debian-faq-zh-cn",
        chinese(paragraphs((doc / "debian/FAQ/zh-cn").glob("*.html"), of_html)),
    )
    write(to / "kicad-zh.jsonl", "kicad-doc-zh", chinese(paragraphs((doc / "kicad/help/zh").glob("*.html"), of_html)))
    office = paragraphs((share / "libreoffice/help/zh-CN").rglob("*.html"), of_html)
    write(to / "libreoffice-help-zh.jsonl", "libreoffice-help-zh-cn", chinese(office))
    everything = list(fortunes(share / "games/fortunes"))
    sayings = list(chinese(everything))
    english = [(name, text[:MOST]) for name, text in everything if text.isascii() and len(text) >= LEAST]
    pages = list(paragraphs((doc / "python3.11/html").rglob("*.html"), of_html))
    for name, wanted in (("a", True), ("b", False)):
        write(to / f"fortunes-zh-{name}.jsonl", "fortunes-zh", split(sayings, wanted))
        write(to / f"fortunes-en-{name}.jsonl", "fortunes", split(english, wanted))
        write(to / f"python-{name}.jsonl", "python3.11-doc", split(pages, wanted))
    write(to / "manpages-en.jsonl", "manpages", paragraphs(man.glob("man[57]/*.gz"), of_man))
    write(to / "wordnet.jsonl", "dict-wn", itertools.islice(split(glosses(share / "dictd"), True), 0, None, 4))


def without_handles(path: Path, to: Path) -> None:
    """Write labelled posts with their handles and addresses replaced: words of a vocabulary are shipped with a model."""
    with to.open("w", encoding="utf-8") as file:
        for line in path.read_text("utf-8").splitlines():
            record = json.loads(line)
            text = re.sub(r"https?://\S+", "https://example.com", html.unescape(record["text"]))
            record["text"] = re.sub(r"@\w+", "@user", text)
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def sentences(path: Path, to: Path) -> None:
    """Write comments with toxic spans sentence by sentence: label 1 if a span begins in it, else 0."""
    with to.open("w", encoding="utf-8") as file:
        for line in path.read_text("utf-8").splitlines():
            record = json.loads(line)
            starts = [span["start"] for span in record["spans"]]
            for found in re.finditer(r"\S.*?(?:[.!?]+(?=\s)|\n|$)", record["text"], re.S):
                label = int(any(found.start() <= start < found.end() for start in starts))
                if label or len(found[0]) >= LEAST:
                    each = {
                        "text": re.sub(r"@\w+", "@user", found[0].strip()),
                        "split": record["split"],
                        "label": label,
                    }
                    file.write(json.dumps(each, ensure_ascii=False) + "\n")


def main() -> None:
    """Fetch and write everything that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", type=Path)
    to, data = (given := parser.parse_args()).folder, given.data
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(
            ["apt-get", "-q", "download", *PACKAGES],
            cwd=scratch,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for package in Path(scratch).glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), scratch], check=True)
        from_packages(to, Path(scratch) / "usr/share")
    web = [json.loads(line) for line in (data / "corpora/c4_zh_sample/lines.jsonl").read_text("utf-8").splitlines()]
    for name, wanted in (("a", True), ("b", False)):
        write(
            to / f"web-zh-{name}.jsonl", "c4_zh_sample", split(((each["source"], each["text"]) for each in web), wanted)
        )
    for name in ("davidson", "cold_train", "cold_dev"):
        without_handles(data / f"harm/{name}.jsonl", to / f"{name}.jsonl")
    sentences(data / "harm/toxic_spans_train.jsonl", to / "toxic_sentences.jsonl")


if __name__ == "__main__":
    main()
