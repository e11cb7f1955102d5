"""Orders of nodes: names as people count, and the groups that cycles tie together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """A key that sorts ``"2"`` before ``"10"``."""
    parts: list[tuple[int, int | str]] = []
    digits = ""
    for char in f"{name} ":
        if char.isdecimal() and char.isascii():
            digits += char
            continue
        if digits:
            parts.append((0, int(digits)))
            digits = ""
        parts.append((1, char))
    return tuple(parts)


def targets_of(sources: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """What each node feeds."""
    targets: dict[str, list[str]] = {name: [] for name in sources}
    for name, feeding in sources.items():
        for source in feeding:
            targets[source].append(name)
    return targets


def components(sources: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Which strongly connected component each node belongs to (Kosaraju)."""
    targets = targets_of(sources)
    finished: list[str] = []
    seen: set[str] = set()
    for root in sources:
        stack = [(root, iter(sources[root]))] if root not in seen else []
        seen.add(root)
        while stack:
            name, rest = stack[-1]
            for source in rest:
                if source not in seen:
                    seen.add(source)
                    stack.append((source, iter(sources[source])))
                    break
            else:
                finished.append(name)
                stack.pop()
    group: dict[str, int] = {}
    for number, root in enumerate(reversed(finished)):
        todo = [root]
        while todo:
            name = todo.pop()
            if name not in group:
                group[name] = number
                todo += targets[name]
    return group
