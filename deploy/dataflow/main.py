"""Entry of the Flex Template: submits the run of a run file, and leaves.

The service starts it with the template's parameters and with pipeline options of Beam, all as ``--name=value``.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.beam_options import read_beam_options
from pipeline.config import Settings, from_options, read_run_file
from pipeline.launch import leave, prepare
from transforms.workspace import fetched


def main(arguments: Sequence[str]) -> None:
    """Submit a run.

    Raises:
        WinnowError: with place and remedy; the service shows it in the launcher's log.
    """
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--run_file", required=True)
    parser.add_argument("--as_of")
    parser.add_argument("--name")
    given, others = parser.parse_known_args(arguments)
    settings = _settings(given.run_file)
    # The runner is known.
    beam = settings.file.beam | read_beam_options([each for each in others if not each.startswith("--runner")])
    changed: dict[str, Any] = {"runner": "dataflow", "beam": beam}
    if given.as_of:
        changed["as_of"] = given.as_of
    parsed = from_options({"inputs": settings.file.inputs, "output": settings.file.output} | changed).file
    file = settings.file.model_copy(update={name: getattr(parsed, name) for name in changed})
    leave(prepare(Settings(file, settings.folder, settings.name), name=given.name))


def _settings(address: str) -> Settings:
    """Read a run file from the object store or from this machine; paths in it that are relative have no meaning here."""
    if "://" not in address:
        return read_run_file(Path(address))
    with fetched(address) as path:
        return read_run_file(path)


if __name__ == "__main__":
    main(sys.argv[1:])
