"""Builds the illustrative index of works: ``python examples/register.py [folder]``.

Writes ``configs/indexes/illustrative`` from ``texts/`` and nothing else: two classics that are free to all, and three short pieces that
were made up for it, of which one is reserved, one complained about and one licensed.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
ROOT = EXAMPLES.parent
INDEX = ROOT / "configs" / "indexes" / "illustrative"
CLASSICS = {
    "alice": ("Alice's Adventures in Wonderland, chapters 1 to 4", "Lewis Carroll"),
    "tang": ("唐诗二十二首", "various poets of the Tang dynasty"),
}
LICENCE = "Apache-2.0; of the classics, public domain"


def lines(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (EXAMPLES / "texts" / f"{name}.jsonl").read_text("utf-8").splitlines()]


def build(folder: Path) -> None:
    """Write the index into a folder."""
    # The script also runs from a checkout that is not installed.
    sys.path.insert(0, str(ROOT))
    from models.fingerprint_build import build_index
    from models.works import Work

    def works() -> Iterator[Work]:
        for name, (title, holder) in CLASSICS.items():
            text = "\n\n".join(line["text"] for line in lines(name))
            yield Work(name, text, title, holder, "public domain", "public_domain")
        yield from (Work(**line) for line in lines("works"))

    folder.parent.mkdir(parents=True, exist_ok=True)
    build_index(works(), folder, title="Illustrative works", licence=LICENCE)


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else INDEX)
