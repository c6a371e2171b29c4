"""Mean and standard deviation of test accuracies over groups of retrained runs.

python -m benchmarks.accuracies "zarts-mgs=runs/c10/mgs-*/retrain" "random=runs/c10/random-*/retrain"
"""

import json
import statistics
import sys
from pathlib import Path


def row(name: str, pattern: str) -> str:
    """A line of the table: the mean over the finished runs of a pattern of folders."""
    results = [json.loads(file.read_text()) for file in sorted(Path().glob(f"{pattern}/result.json"))]
    if not results:
        raise SystemExit(f"no finished run matches {pattern}")
    accuracies = [result["test_accuracy"] for result in results]
    spread = f" ± {statistics.stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
    parameters = " / ".join(f"{result['parameters'] / 1e3:.0f}k" for result in results)
    each = " / ".join(f"{accuracy:.2f}" for accuracy in accuracies)
    return f"| {name} | {len(results)} | {statistics.mean(accuracies):.2f}{spread} | {each} | {parameters} |"


if __name__ == "__main__":
    print("| architectures | n | test accuracy %, mean ± std | each | parameters |\n|---|---|---|---|---|")
    for argument in sys.argv[1:]:
        print(row(*argument.split("=", 1)))
