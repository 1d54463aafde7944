"""Strata: what detectors found in a record, as far as it counts for its source."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.findings import ERROR, Finding
from models.layer import Merged
from models.policy import Decider
from models.tally import by_row

STRATA = ("high", "low", "unflagged")
"""By code: a finding that makes the record unlawful; one of the same kinds, but of a lower score; none."""


def strata(known: Merged, decider: Decider) -> npt.NDArray[np.uint8]:
    """Return the stratum of every entry of a split, index in :data:`STRATA`, shape (n,)."""
    codes = np.full(len(known.records), len(STRATA) - 1, np.uint8)
    categories = known.findings["category"].unique().to_pylist()
    wanted = [each for each in categories if each != ERROR and decider.unlawful([Finding(0, "", each, "", 1.0)])]
    findings = known.findings.filter(pc.is_in(known.findings["category"], value_set=pa.array(wanted, pa.string())))
    for row, found in by_row(findings):
        codes[row] = not decider.unlawful(found)
    return codes
