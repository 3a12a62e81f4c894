"""``python -m saewidgets.demo.build --out DIR``: rebuild tokenizer, model, SAEs, figures, card and index from seed.

``--stage index`` rebuilds the index alone, from the model and the SAE that are in DIR, in less than a minute.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from saewidgets.demo.build.pipeline import STAGES, Run, build
from saewidgets.demo.build.settings import FULL, TINY, Paths


def main() -> None:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(prog="python -m saewidgets.demo.build", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the assets")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "saewidgets-demo-build",
        help="folder of what the build can throw away: corpus, activations, figures of finished SAEs (3 GB)",
    )
    parser.add_argument("--stage", choices=STAGES, default=STAGES[0], help="begin here, with what earlier stages left")
    parser.add_argument("--until", choices=STAGES, default=STAGES[-1], help="stop after this stage")
    parser.add_argument("--saes", default="", help="names of the SAEs to train or measure again, with commas")
    parser.add_argument("--tiny", action="store_true", help="a build of seconds, to try the pipeline")
    chosen = parser.parse_args()
    names = tuple(filter(None, chosen.saes.split(",")))
    settings = TINY if chosen.tiny else FULL
    build(Run(settings, Paths(chosen.out, chosen.work), names), chosen.stage, chosen.until)


if __name__ == "__main__":
    main()
