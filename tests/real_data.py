"""Where real road data lies on machines that have it; tests that use it skip where it is absent."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REAL_DATA = ROOT.parent / "shared" / "data"
