"""A browser for `penstock login`: opens the development provider's page and chooses a user."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "examples" / "two_people"))

from people import visit

visit(sys.argv[1], os.environ["PENSTOCK_TEST_USER"])
