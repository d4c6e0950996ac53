"""Where data from elsewhere lie, for tests that use them: the folder FASTMPR_DATA names, or one beside the checkout."""

import os
from pathlib import Path

DATA = Path(os.environ.get("FASTMPR_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
