"""Records that are planted in the example corpus so that every tagger, rule and reason occurs in a run of it."""

import json
from pathlib import Path
from typing import NamedTuple

WORKS = Path(__file__).resolve().parent / "texts" / "works.jsonl"

MOBILES = ("13800138000", "13900139000", "13600136000", "13700137000", "13500135000", "15800158000", "18800188000")
CARDS = ("4111111111111111", "5555555555554444", "4012888888881881", "5105105105105100")


class Planted(NamedTuple):
    """A text, why it is there, and its address where that is not the usual one; ``found`` by the list, and whether that is unlawful."""

    text: str
    why: str
    url: str | None = None
    found: bool = False
    unlawful: bool = False


def planted() -> list[Planted]:
    """Return the records in order."""
    works = {row["id"]: row["text"] for row in map(json.loads, WORKS.read_text("utf-8").splitlines())}
    people = "\n".join(f"第{n}位报名者：{MOBILES[n % len(MOBILES)]}" for n in range(1, 25))
    cards = "\n".join(f"Refund {n} goes to card {CARDS[n % len(CARDS)]}." for n in range(1, 13))
    return [
        Planted("黑人就是脏，又懒又臭，滚回非洲去吧", "a model finds A.2.a"),
        Planted("河南人都是骗子，偷井盖的，真恶心", "a model finds A.2.d"),
        Planted("女人就是又蠢又贱，只会要彩礼，垃圾女权", "a model finds A.2.e"),
        Planted("What an idiot. Stupid liar, pathetic loser.", "a model finds A.4.c"),
        Planted("楼主要的破解版资源打包下载，老地方自取。", "the list finds A.3.a", found=True, unlawful=True),
        Planted("邻居又推荐什么磁力手环治近视，我没买。", "the list finds A.5.a, which a rule only notes", found=True),
        Planted(f"Somebody posted this, lovely: {works['harbour-lamp'][:700]}", "much of a work that is reserved"),
        Planted(f"转一篇旧文，写得真好。{works['lane-lamps'][:120]}", "a work that was complained about"),
        Planted(works["mountain-tea"][:400], "a work that is licensed: noted, kept"),
        Planted(people, "twenty and more personal values in one record"),
        Planted(cards, "ten and more sensitive values in one record"),
        Planted("地址栏里多打了一个括号，链接坏了。", "an address that cannot be read", "https://[talk.example/p/12"),
    ]
