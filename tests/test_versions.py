"""Results are cached by the versions of the code that made them: whoever changes that code must decide whether to raise one.

``tests/versions.json`` holds, for every version, a digest of the code it stands for, without comments, docstrings and layout.
After a change: raise the version if the same input can now give another result; then run ``python -m tests.test_versions``.
"""

import ast
import hashlib
import json
from pathlib import Path

from models import layer, release_pass, shard, source_rules
from models.taggers.blocked import Blocked
from models.taggers.category import Category
from models.taggers.fingerprint import Fingerprint
from models.taggers.lexicon import Lexicon
from models.taggers.personal import Personal
from models.taggers.provenance import Provenance

ROOT = Path(__file__).parent.parent
RECORD = Path(__file__).with_name("versions.json")

_VIEW = ["models/view.py", "models/safe_table.py"]
VERSIONS = {
    "models.shard.CODE_VERSION": (
        shard.CODE_VERSION,
        [
            *("models/shard.py", "models/planning.py", "models/containers.py", "models/lines.py", "models/records.py"),
            *(
                "models/parsing.py",
                "models/parquet.py",
                "models/columns.py",
                "models/documents.py",
                "models/evidence.py",
            ),
        ],
    ),
    "models.source_rules.VERSION": (
        source_rules.VERSION,
        ["models/source_rules.py", "models/source_keys.py", "models/addresses.py"],
    ),
    "models.layer.FORMAT": (
        layer.FORMAT,
        [
            *("models/layer.py", "models/findings.py", "models/tagging.py", "models/tag_pass.py", "models/purge.py"),
            *("models/url_marks.py", "models/addresses.py", "models/language.py", "models/function_words.py"),
        ],
    ),
    "models.release_pass.VERSION": (
        release_pass.VERSION,
        [
            *("models/release_pass.py", "models/release_lines.py", "models/release_rows.py", "models/release_split.py"),
            *(
                "models/fates.py",
                "models/redaction.py",
                "models/purge.py",
                "models/writers.py",
                "models/parts.py",
                "models/verdicts.py",
                "models/policy.py",
            ),
        ],
    ),
    "Fingerprint.version": (
        Fingerprint.version,
        [
            "models/taggers/fingerprint.py",
            *(
                "models/fingerprint_form.py",
                "models/fingerprints.py",
                "models/fingerprint_index.py",
                "models/shared_runs.py",
            ),
            *_VIEW,
        ],
    ),
    "Category.version": (
        Category.version,
        [
            "models/taggers/category.py",
            *("models/category_model.py", "models/linear_scorer.py", "models/tokens.py", "models/windows.py"),
            *_VIEW,
        ],
    ),
    "Lexicon.version": (Lexicon.version, ["models/taggers/lexicon.py", "models/taggers/scanner.py", *_VIEW]),
    "Blocked.version": (Blocked.version, ["models/taggers/blocked.py", "models/blocklist.py", "models/addresses.py"]),
    "Provenance.version": (
        Provenance.version,
        [
            *("models/taggers/provenance.py", "models/source_registry.py", "models/licences.py", "models/evidence.py"),
            "models/placeholders.py",
        ],
    ),
    "Personal.version": (
        Personal.version,
        [
            *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "models/taggers").glob("personal*.py")),
            "models/taggers/scanner.py",
            "models/identity_numbers.py",
            *_VIEW,
        ],
    ),
}


def code_digest(files: list[str]) -> str:
    """Return a digest of what files do."""
    sha = hashlib.sha256()
    for name in files:
        tree = ast.parse((ROOT / name).read_text("utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):
                node.body = [  # type: ignore[attr-defined]
                    line
                    for line in body
                    if not (
                        isinstance(line, ast.Expr)
                        and isinstance(line.value, ast.Constant)
                        and isinstance(line.value.value, str)
                    )
                ]
        sha.update(ast.dump(tree, annotate_fields=False).encode())
    return sha.hexdigest()


def current() -> dict[str, list[object]]:
    """Return every version with the digest of its code."""
    return {name: [version, code_digest(files)] for name, (version, files) in VERSIONS.items()}


def test_code_that_makes_results_is_not_changed_without_deciding_on_its_version():
    recorded = json.loads(RECORD.read_text("utf-8"))
    changed = [name for name, value in current().items() if recorded.get(name) != value]
    assert not changed, (
        f"the code behind {', '.join(changed)} changed: raise the version if results can differ, "
        "then run python -m tests.test_versions"
    )


if __name__ == "__main__":
    RECORD.write_text(json.dumps(current(), indent=2) + "\n", "utf-8")
