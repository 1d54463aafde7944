"""Takes the pictures of the report that stand in docs: ``make docs-pictures``, after ``make run``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from chromium import chromium

ROOT = Path(__file__).resolve().parents[2]
PICTURES = {"report.html": "report.png", "report.zh.html": "report-zh.png"}
HEIGHT = 1560
"""Pixels: down to the plot of the flow."""

if __name__ == "__main__":
    with chromium() as page:
        for name, picture in PICTURES.items():
            page.open(ROOT / "out" / name, 1160)
            page.screenshot(ROOT / "docs" / picture, HEIGHT)
