"""Breaks each invariant and sees a test fail (``make mutants``).

Every ``NN-name.patch`` beside this file begins with a line ``# <invariant>: <test> [<test> …]``, the tests as pytest takes them.
A patch is applied to a copy of the tree, and its tests run there, one after another: one of them must fail. The same tests must
pass in a copy without a patch. Exits 1 if a mutant survives, if a patch no longer applies, or if its tests cannot run.

    python tests/mutants/run.py [part of a patch's name …]
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "out", "build", "dist")
TIMEOUT = 3600
"""Seconds; a machine that does other things too is slow, and a mutant that hangs is not caught."""


@dataclass(frozen=True)
class Mutant:
    """A patch, the invariant that it breaks, and the tests that must notice."""

    path: Path
    invariant: str
    tests: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> "Mutant":
        first = path.read_text("utf-8").splitlines()[0]
        invariant, colon, tests = first.removeprefix("# ").partition(": ")
        if not (first.startswith("# ") and colon and tests.split()):
            sys.exit(f"{path}: its first line must be: # <invariant>: <test> [<test> …]")
        return cls(path, invariant, tuple(tests.split()))


@dataclass(frozen=True)
class Fate:
    """What became of a mutant; ``said`` is what to show if that is not as it must be."""

    word: str
    seconds: float
    said: str = ""

    @property
    def is_good(self) -> bool:
        return self.word in ("caught", "passes")


def environment(tree: Path) -> dict[str, str]:
    """Return the environment in which the packages of ``tree`` are imported, not those that are installed."""
    return os.environ | {
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(tree / ".h"),
    }


def run(command: Sequence[str], tree: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=tree,
        env=environment(tree),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def check_imports(tree: Path) -> None:
    """Make sure that it is the copy that tests and command run."""
    code = "import models, pipeline, transforms; print(*(each.__file__ for each in (models, pipeline, transforms)))"
    found = run([sys.executable, "-c", code], tree).stdout.split()
    if not (len(found) == 3 and all(Path(each).is_relative_to(tree) for each in found)):
        sys.exit(f"the copy in {tree} is not what Python imports: {' '.join(found)}")


def test(tree: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Run tests up to the first that fails, and return pytest's exit code and the end of what it said."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests]
    try:
        done = run(command, tree)
    except subprocess.TimeoutExpired:
        return -1, f"no end after {TIMEOUT} s"
    return done.returncode, done.stdout[-4000:]


def try_out(mutant: Mutant | None, tests: Sequence[str]) -> Fate:
    """Run tests in a copy of the tree with the mutant's patch, or without any."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="winnow-mutant-") as name:
        tree = Path(name).resolve() / "tree"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        if mutant is None:
            check_imports(tree)
        else:
            applied = run(["git", "apply", "--whitespace=nowarn", str(mutant.path)], tree)
            if applied.returncode:
                return Fate("DOES NOT APPLY", time.monotonic() - start, applied.stdout)
        code, said = test(tree, tests)
    words = {0: "passes", 1: "FAILS"} if mutant is None else {0: "SURVIVES", 1: "caught"}
    # Any other code says that the tests did not run, which is not the same as noticing.
    return Fate(words.get(code, "CANNOT RUN"), time.monotonic() - start, said)


def main(wanted: Sequence[str]) -> int:
    mutants = [Mutant.read(path) for path in sorted(HERE.glob("*.patch"))]
    mutants = [mutant for mutant in mutants if not wanted or any(part in mutant.path.name for part in wanted)]
    if not mutants:
        sys.exit("no such mutant")
    named = sorted({test for mutant in mutants for test in mutant.tests})
    bad, caught = [], 0
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        jobs = [("no patch", "", pool.submit(try_out, None, named))]
        jobs += [(each.path.stem, each.invariant, pool.submit(try_out, each, each.tests)) for each in mutants]
        for name, invariant, job in jobs:
            fate = job.result()
            print(f"{name:46} {invariant:15} {fate.word:14} {fate.seconds:5.1f} s", flush=True)
            caught += fate.word == "caught"
            if not fate.is_good:
                bad.append((name, fate))
    for name, fate in bad:
        print(f"\n--- {name}: {fate.word}\n{fate.said}")
    print(f"\n{len(mutants)} mutants, {caught} caught")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
