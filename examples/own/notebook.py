"""Writes ``notebook.ipynb`` with the results of running it: ``python examples/own/notebook.py``. A test compares."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).with_name("notebook.ipynb")

CELLS = (
    "# Taggers on a table\n\nA table of texts (Arrow, or a pandas data frame), two taggers, and what they find. Run it from the checkout's folder.",
    """
import pandas
import pyarrow as pa

frame = pandas.DataFrame({
    "id": ["a", "b", "c"],
    "text": ["Call 13800138000 or write to li@example.com.", "Nothing to see here.", "身份证号11010519491231002X，请保密。"],
})
""",
    """
from models.documents import Documents
from models.taggers.personal import Personal
from models.tagging import tag

documents = Documents.from_table(pa.Table.from_pandas(frame), id="id")
findings = tag(documents, [Personal()])
findings.table.select(["row", "category", "rule", "score", "start", "end"]).to_pandas()
""",
    "Offsets are code points of the original text, half open; the matched value is never in a finding. To take what was found out of the texts:",
    """
from models.redaction import Redaction, label, redact, union

def redacted(row):
    spans = [Redaction(f.start, f.end, f"[{label(f.category)}]") for f in findings if f.row == row and f.score >= 0.5]
    return redact(frame["text"][row], union(spans))

[redacted(row) for row in range(len(frame))]
""",
    "What becomes of a record is the policy's to say, with the reasons:",
    """
from models.policy import Decider, load_policy

decider = Decider(load_policy("cn-tc260-003"))
for row, text in enumerate(frame["text"]):
    verdict = decider.decide(len(text), [f for f in findings if f.row == row])
    print(frame["id"][row], verdict.action, sorted({reason.policy_rule for reason in verdict.reasons}))
""",
)


def run(code: str, names: dict[str, Any]) -> str:
    """Run a cell as a notebook would, and return what it shows."""
    import ast

    tree = ast.parse(code.strip())
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(tree, "cell", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
            if value is not None:
                print(repr(value))
    return said.getvalue()


def notebook() -> dict[str, Any]:
    """Return the notebook (nbformat 4.5), every cell run in order."""
    cells: list[dict[str, Any]] = []
    names: dict[str, Any] = {}
    for number, text in enumerate(CELLS):
        source = text.strip().splitlines(keepends=True)
        cell = {"id": f"cell-{number}", "metadata": {}, "source": source}
        if text.startswith("\n"):
            shown = run(text, names)
            outputs = [{"output_type": "stream", "name": "stdout", "text": shown.splitlines(keepends=True)}]
            cells.append(cell | {"cell_type": "code", "execution_count": None, "outputs": outputs if shown else []})
        else:
            cells.append(cell | {"cell_type": "markdown"})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


if __name__ == "__main__":
    NOTEBOOK.write_text(json.dumps(notebook(), ensure_ascii=False, indent=1) + "\n", "utf-8")
