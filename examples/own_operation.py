"""A search in a space of your own, with an operation that zarts does not have: `own_space/`.

python examples/own_operation.py
"""

from pathlib import Path

import zarts

HERE = Path(__file__).parent / "own_space"

if __name__ == "__main__":
    small = {"preset": "quick", "channels": 4, "cells": 3, "epochs": 2, "subset": 96, "batch_size": 16, "quiet": True}
    found = zarts.search(
        "digits",
        space=str(HERE / "space.yaml"),  # which operations may be on which edge
        operations=HERE / "operations.py",  # Python code: it is run because it is named here
        method="darts",
        **small,
    )
    print(found)
    cell = found.genotype.cells["normal"]
    print("gated convolutions in the normal cell:", str(cell).count("gated_conv"))
    # the run folder has a copy of both files; its code is named again, because no folder's code runs unasked
    own = found.run / "operations.py"
    trained = zarts.retrain(found, operations=own, preset="quick", channels=8, cells=3, epochs=6, quiet=True)
    print(trained)
    print(f"test accuracy {zarts.evaluate(trained, operations=own):.2f} %")
