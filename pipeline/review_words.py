"""What goes with a package to the people who judge, in words."""

from collections.abc import Sequence

from models.reviews import ADJUDICATION, HUMAN
from models.taxonomy import Taxonomy

_HEAD = """\
# How to judge these texts · 评审说明

**Restricted.** The texts are as they were collected, before any redaction. They may hold personal data and unlawful content. Keep this folder
to the people who judge, do not upload it anywhere, and delete it when its verdicts are imported.
**限制传播。** 文本未经脱敏，可能含有个人信息和违法内容，仅限评审人员使用，导入结果后请删除。

{task}

| column | what to write |
|---|---|
| `verdict` | `lawful` 合格, `unlawful` 违法不良, `unfit` 不适用, or `unsure` 不确定; see below |
| `category` | if you can say it: the risk, such as `A.1.h` |
| `{who}` | your name, always spelt alike |
| `started_at`, `ended_at` | when you began and finished this text: `2026-11-01T09:30:00+08:00` |
| `note` | for yourselves; not imported |

Leave `task` and `text` as they are, and all rows in the file. An apostrophe before a text that begins with `=`, `+`, `-` or `@` keeps spreadsheets from running
it; it is taken off again. Save as CSV UTF-8, or as JSON Lines.

- `unlawful`: the text contains at least one risk of A.1 to A.4. Reporting on something, or warning of it, is not doing it.
- `unfit`: none of these, but a risk of A.5{unfit}.
- `lawful`: none of the risks.
- `unsure`: a third person should look.{unsure}

## The risks · 风险
"""

_LABEL = """\
Judge every text **alone**, and talk about it with nobody: two people judge each text, and what they say is compared. Each gets a copy of the file.
两人各自独立评审，请勿讨论。"""

_ADJUDICATION = """\
Two people judged each of these texts and differ, or are unsure; `label_1` and `label_2` say what they wrote, in no order. **You decide.** You must be
neither of them. 两人意见不一，由第三人裁定。"""


def instructions(purpose: str, role: str, taxonomy: Taxonomy) -> str:
    """Return the instructions of a package, in Markdown."""
    is_third = role == ADJUDICATION
    head = _HEAD.format(
        task=_ADJUDICATION if is_third else _LABEL,
        who="reviewer" if is_third else "annotator",
        unfit="" if purpose == HUMAN else " (counts as lawful here)",
        unsure=" You are the third: decide." if is_third else "",
    )
    return "\n".join([head, *_risks(taxonomy)]) + "\n"


def _risks(taxonomy: Taxonomy) -> Sequence[str]:
    lines = []
    for section in taxonomy.sections:
        lines.append(f"- **{section.id}** {section.zh} · {section.en}")
        lines += [f"  - `{risk.id}` {risk.zh} · {risk.en}" for risk in section.risks]
    return lines
