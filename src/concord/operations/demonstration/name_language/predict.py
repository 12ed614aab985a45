"""Says in which language a name is written: python predict.py MODEL NAME …

MODEL is a folder, or the id of the repo on the hub that HF_ENDPOINT names.
"""

import sys

from transformers import pipeline


def main(model: str, *names: str) -> None:
    """Print each name with the languages that the model puts first, and how sure it is of each."""
    classify = pipeline("text-classification", model=model)
    for name, found in zip(names, classify(list(names), top_k=3), strict=True):
        print(f"{name}: " + ", ".join(f"{each['label']} {each['score']:.2f}" for each in found))


if __name__ == "__main__":
    main(*sys.argv[1:])
