"""What long work tells of itself while it goes on.

>>> told = []
>>> def work(progress: Progress = silent) -> None:
...     progress("a.bin", 5, 10)
>>> work(lambda *words: told.append(words))
>>> told
[('a.bin', 5, 10)]
"""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # (what is at hand, how much of it is done, how much it is in all)


def silent(_name: str, _done: int, _all: int) -> None:
    """The progress that nobody is told."""
