"""Search an architecture for the digits that come with scikit-learn, train it, and use the network.

python examples/search_digits.py            # about a minute; add --fast for a smoke test
"""

import sys

import torch

import zarts

FAST = {"epochs": 2, "warmup_epochs": 1, "subset": 80, "channels": 2, "cells": 3, "batch_size": 10, "samples": 2}


def main(fast: bool) -> float:
    found = zarts.search(data="digits", space="darts", method="zarts-mgs", preset="quick", **(FAST if fast else {}))
    print(found.genotype.to_json())
    print("parameterless operations:", found.history[-1]["parameterless"])

    trained = zarts.retrain(found, preset="quick", **({"epochs": 1} if fast else {}))
    print(f"test accuracy {trained.test_accuracy:.2f} %, {trained.parameters:,} parameters, in {trained.run}")

    network = trained.load()  # a torch.nn.Module, of zarts' class Network
    logits = network(torch.zeros(1, 1, 8, 8))
    print("logits of an empty image:", [round(x, 2) for x in logits[0].tolist()])
    return trained.test_accuracy


if __name__ == "__main__":
    main(fast="--fast" in sys.argv)
