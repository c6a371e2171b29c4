"""Three methods, two seeds each, searched, retrained and put into a table with a page.

python examples/compare_methods.py     # at a scale of seconds: the form of a comparison, not a result
"""

import zarts

if __name__ == "__main__":
    tiny = {"subset": 64, "channels": 2, "cells": 3, "batch_size": 16, "epochs": 2}
    result = zarts.compare(
        ["gdas", "darts", "random"],  # a comparison without random cells cannot say whether a search helps
        seeds=2,
        preset="quick",
        space="s2",
        retrain={"epochs": 2, "channels": 4, "cells": 3, "subset": 128, "batch_size": 16},
        against="random",
        out="runs/compare-methods",
        quiet=True,
        **tiny,
    )
    print(result)
