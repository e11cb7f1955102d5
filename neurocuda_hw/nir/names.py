"""Names of NIR nodes, files and models as names of populations and networks."""

from __future__ import annotations

import re


def network_name(text: str) -> str:
    """A text, such as the name of a file, as the name of a network."""
    return Names().fresh(text)


class Names:
    """NIR names as names of populations: each once."""

    def __init__(self) -> None:
        self.taken: dict[str, str] = {}
        self.given: set[str] = set()

    def take(self, name: str) -> str:
        """The population name of a NIR node; the same whenever it is asked for."""
        if name not in self.taken:
            self.taken[name] = self.fresh(name)
        return self.taken[name]

    def fresh(self, name: str) -> str:
        """A name like `name` that no other population has."""
        plain = re.sub(r"[^a-z0-9_]", "_", name.lower())[:56]
        plain = plain if plain[:1].isalpha() else f"n{plain}"
        free, count = plain, 1
        while free in self.given:
            count += 1
            free = f"{plain}_{count}"
        self.given.add(free)
        return free
