"""``shouting``: Latin text most of whose letters are capitals. A complete tagger, to start one of your own from."""

from dataclasses import dataclass
from typing import ClassVar

from models.digest import digest_of
from models.documents import Documents
from models.findings import Finding, Findings


@dataclass(frozen=True)
class Shouting:
    """Claims ``quality.shouting`` on a record with at least ``letters`` cased letters; the score is the share of capitals."""

    name: ClassVar[str] = "shouting"
    version: ClassVar[int] = 1
    identifiers: ClassVar[bool] = False
    paths: ClassVar[tuple[str, ...]] = ()

    letters: int = 20

    @property
    def digest(self) -> str:
        return digest_of({"tagger": self.name, "version": self.version, "letters": self.letters})

    def load(self) -> None:
        """Nothing is to be loaded."""

    def tag(self, documents: Documents) -> Findings:
        found = []
        for row, text in enumerate(documents.text.to_pylist()):
            upper = sum(char.isupper() for char in text)
            cased = upper + sum(char.islower() for char in text)
            if cased >= self.letters and 2 * upper > cased:
                found.append(Finding(row, self.name, "quality.shouting", "capitals", upper / cased))
        return Findings.of(len(documents), found)
