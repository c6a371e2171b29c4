"""Tables of NAS-Bench-201 for tests: some cells or all of them, with accuracies that are easy to check."""

import csv
import gzip

from zarts.bench import Column
from zarts.spaces.nasbench201 import NASBENCH201

SKIP = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
CONV = SKIP.replace("skip_connect", "nor_conv_3x3")
TEST = Column("cifar10", "test", 200)


def write_csv(path, columns):
    """A file with these columns."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def cell(number):
    """The cell whose operations are the digits of a number to the base of five."""
    ops = iter([NASBENCH201.operations[number // 5**place % 5] for place in range(6)])
    return "+".join("|" + "".join(f"{next(ops)}~{source}|" for source in range(node)) for node in (1, 2, 3))


def write_every(path, **more):
    """A file with all cells, `more` its further columns. The true accuracy rises to 90 in the middle, and falls."""
    numbers = range(5**6)
    columns = {
        "architecture": [cell(number) for number in numbers],
        "cifar10_valid_12": [10 + number % 50 for number in numbers],
        "cifar10_test_200": [20 + 70 * (1 - abs(number - 8000) / 8000) for number in numbers],
        "cifar100_test_200": [5 + number / 1000 for number in numbers],
    }
    return write_csv(path, columns | more)
