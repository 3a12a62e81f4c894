"""``python -m saewidgets.cli`` is the command ``saewidgets``."""

from __future__ import annotations

import sys

from saewidgets.cli import main

sys.exit(main())
