"""What a release must show: that the right documents are found, and that answers have their form."""

import json
from pathlib import Path

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text("utf-8"))
"""Questions, each with the document that must be found."""
