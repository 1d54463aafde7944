"""The job: everything a worker needs to know besides the split, in one value that can be sent to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from models.digest import digest_of
from models.policy import Policy
from models.shard import Reading
from models.source_rules import suffix_list
from models.taggers import Tagger


@dataclass(frozen=True)
class Output:
    """How records are written.

    Attributes:
        gzip_level: 1 to 9; 6 halves the speed of the whole job.
        dead_bytes: whether dead letters keep their bytes or only the hash.
    """

    gzip_level: int = 1
    dead_bytes: Literal["keep", "hash"] = "keep"


@dataclass(frozen=True)
class Job:
    """What a run does, the same for all its splits.

    Attributes:
        reading: which records there are.
        taggers: in the order of the run file.
        policy: decides and counts.
        output: how it is written.
        root: where the output lies.
        restricted: where quarantine and dead letters lie; equal to ``root`` by default.
        split_size: bytes from which on a shard is cut.
        key_env: environment variable with the key for pseudonyms, or None.
        key_id: tells keys apart without telling the key, or empty.
        as_of: the date that every comparison uses, ISO 8601.
        allow_empty: whether globs may match nothing and new shards may hold no record.
        withdrawn: what is withdrawn, see :func:`models.withdrawals.keep_in_force`; empty for nothing.
        overrides: what people decided about sources, see :func:`models.overrides.keep_in_force`; empty for nothing.
        verdicts: what people found in records, see :func:`models.audits.keep_verdicts`; empty for nothing.
        marks: sources that verdicts put on the blacklist before, see :func:`models.audits.keep_marks`; empty for none.
        before: what the last release counted of sources, see :func:`models.removals.keep_before`; empty for nothing.
        max_dead_share_ppm, max_dead_least: dead letters allowed, of a million entries, and always so many.
    """

    reading: Reading
    taggers: tuple[Tagger, ...]
    policy: Policy
    output: Output
    root: str
    restricted: str
    split_size: int
    key_env: str | None
    key_id: str
    as_of: str
    max_dead_share_ppm: int = 1000
    max_dead_least: int = 100
    allow_empty: bool = False
    withdrawn: str = ""
    overrides: str = ""
    verdicts: str = ""
    marks: str = ""
    before: str = ""

    @cached_property
    def wanted(self) -> dict[str, str]:
        """Digest of every tagger by its name."""
        return {tagger.name: tagger.digest for tagger in self.taggers}

    @cached_property
    def epoch(self) -> str:
        """Digest of all taggers: the detectors by which records are sorted into strata. Verdicts of people survive it."""
        return digest_of(self.wanted)

    @cached_property
    def screening(self) -> str:
        """Digest of the taggers that decide under which names sources are shown; every layer is made under one."""
        return digest_of({tagger.name: self.wanted[tagger.name] for tagger in self.taggers if tagger.identifiers})

    @property
    def sample(self) -> str:
        """How much of the corpus is read, in words; empty for all of it."""
        ppm, limit = self.reading.sample_ppm, self.reading.limit
        parts = [f"{ppm / 10_000:g} % of the records"] if ppm < 1_000_000 else []
        return ", ".join(parts + ([f"the first {limit} records"] if limit else []))

    def described(self, version: str) -> dict[str, Any]:
        """Return what a release depends on besides its inputs, with digests, for the manifest."""
        policy = self.policy
        return {
            "policy": {
                "name": policy.name,
                "version": policy.version,
                "instrument": policy.instrument,
                "digest": policy.digest,
                "counting": policy.counting_digest,
                "judging": policy.judging_digest,
                "reading": policy.sources.reading,
                "basis": policy.sources.basis,
                "limit": str(policy.sources.limit),
                "min_records": policy.sources.min_records,
                "actions": policy.sources.actions,
                "otherwise": policy.sources.otherwise,
                "parameters": policy.sources.parameters,
                "counted": policy.sources.counted._asdict(),
                "calibration": [each.model_dump() for each in policy.sources.calibration],
                **({"exact_up_to": policy.sources.sketched} if policy.sources.sketched else {}),
                "taxonomy": policy.taxonomy,
                "rules": [
                    rule.model_dump(include={"id", "title", "title_zh", "clause", "action"}) for rule in policy.rules
                ],
            },
            "taggers": self.wanted,
            "epoch": self.epoch,
            "reading": self.reading.digest,
            "source_from": self.reading.source_from,
            "sample": self.sample,
            "output": self.release_digest,
            "key": self.key_id,
            "withdrawn": self.withdrawn,
            "version": version,
            # Only where there are some, so that a release without is described as ever.
            **({"overrides": self.overrides} if self.overrides else {}),
            **({"verdicts": self.verdicts} if self.verdicts else {}),
            **({"source_keys": self._source_keys} if self.reading.keys is not None else {}),
        }

    @property
    def _source_keys(self) -> dict[str, Any]:
        assert self.reading.keys is not None
        rules = self.reading.keys
        return {
            "digest": rules.digest,
            "rules": rules.model_dump(mode="json", exclude_defaults=True),
            "suffix_list": suffix_list()._asdict(),
        }

    @cached_property
    def release_digest(self) -> str:
        """Digest of what decides a release besides the split: rules, key and output format."""
        output = self.output
        return digest_of(
            {"policy": self.policy.digest, "key": self.key_id, "output": [output.gzip_level, output.dead_bytes]}
        )


_SAID = ("coverage", "artefacts", "keywords", "entities", "works")
"""Keys that :func:`models.outcome.conclude` adds to the description of a job."""


def without_words(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description of a job without what is only said to people: two that are alike in the rest do the same."""
    # What is counted is in digests already, by the ids that its names stand for.
    policy = {key: value for key, value in described["policy"].items() if key not in ("rules", "counted")}
    return {
        **{key: value for key, value in described.items() if key not in _SAID},
        "policy": policy,
    }
