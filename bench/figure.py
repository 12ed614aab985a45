"""One figure: what was measured, what was promised, and what a peer does with the same work."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Figure:
    """`target` is a promise such as ("<=", 0.25) or (">=", 3000), in `unit`. `peer` names the peer, `beside` is its value.

    `note` says how it was measured, where that differs from run to run.
    """

    name: str
    value: float
    unit: str
    target: tuple[Literal["<=", ">="], float]
    peer: str
    beside: float | None
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the promise is kept."""
        sign, bound = self.target
        return self.value <= bound if sign == "<=" else self.value >= bound

    @property
    def ratio(self) -> float | None:
        """How many times as good as the peer: over 1 is better, whether more or less is better."""
        if not self.beside:
            return None
        return self.value / self.beside if self.target[0] == ">=" else self.beside / self.value

    def told(self) -> dict[str, Any]:
        """As it stands in latest.json."""
        return {
            "name": self.name,
            "note": self.note,
            "value": self.value,
            "unit": self.unit,
            "target": f"{self.target[0]} {self.target[1]:g}",
            "ok": self.ok,
            "peer": self.peer if self.beside is None else f"{self.peer}: {self.beside:.4g} {self.unit}",
            "ratio": self.ratio,
        }

    def line(self) -> str:
        """As a line of the table."""
        beside = f"{self.peer}: {self.beside:,.4g} {self.unit}" if self.beside is not None else self.peer
        ratio = f"{self.ratio:.2f} times as good" if self.ratio else "–"
        mark = "" if self.ok else " **missed**"
        name = f"{self.name} ({self.note})" if self.note else self.name
        return f"| {name} | {self.value:,.4g} {self.unit}{mark} | {self.target[0]} {self.target[1]:,g} | {beside} | {ratio} |"
