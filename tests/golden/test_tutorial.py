"""The tutorial says what happens: every command in it is run, in order, and every line that it shows is among what is said."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def steps() -> list[tuple[str, list[str]]]:
    """Return each command with the lines that it is shown to say."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```\n(\$.*?)^```$", (ROOT / "docs" / "tutorial.md").read_text("utf-8"), re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def test_every_command_of_the_tutorial_says_what_it_is_shown_to_say(tmp_path: Path) -> None:
    for name in (".venv", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    asked = steps()
    assert len(asked) > 10
    for command, lines in asked:
        ran = subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "400"},
            check=False,
        )
        said = ran.stdout + ran.stderr
        assert ran.returncode == 0, f"{command}\n{said}"
        at = 0
        for line in lines:
            shown = re.compile(re.escape(line.strip()).replace("…", ".*?"))
            match = shown.search(said, at)
            assert match is not None, f"{command}\nshown: {line}\nsaid:\n{said}"
            at = match.end()
