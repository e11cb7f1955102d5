"""A network and what is worked out of it, each thing once: lanes, plans, golden trace, activity.

A command makes one study and hands it to every target. Nothing is worked out before it is asked
for: a target that needs no plan makes none. (Proved ranges are kept with the network itself, see
`network.ranges`, since what stands below the plans asks for them too.)
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.activity import Activity
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts
from neurocuda_hw.passes.folding import balanced_lanes, uniform_lanes
from neurocuda_hw.passes.mapping import Ways
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.planner import Planner
from neurocuda_hw.passes.streams import by_lines

Made = TypeVar("Made")
Lanes = Mapping[str, int] | Callable[["Study"], Mapping[str, int]] | None


class Study:
    """A network, its golden trace, and what follows from them.

    Parameters
    ----------
    trace : Trace, optional
        The golden one, for what is compared or counted with it.
    lanes : mapping of str to int, or a function of this study that gives one, optional
        Lanes of each population; up to 16 where None. See `balanced`.
    bursts : Bursts
        What Verilog and C++ send as bursts.
    ways : mapping of str to Ways, optional
        How layers are made, by population, where that is not left to the synthesiser.

    Raises
    ------
    ModelError, DataError
        If the trace is not of this network: every target takes it as it is.
    """

    def __init__(
        self,
        network: Network,
        *,
        trace: Trace | None = None,
        lanes: Lanes = None,
        bursts: Bursts = NO_BURSTS,
        ways: Mapping[str, Ways] | None = None,
    ) -> None:
        if trace is not None:
            from neurocuda_hw.network.inputs import check_inputs

            trace.check(network)
            check_inputs(network, trace.inputs, small=True)
        self.network = network
        self._trace, self._lanes, self.bursts = trace, lanes, bursts
        self.ways = dict(ways or {})
        self._planners: dict[str, Planner] = {}
        self._plans: dict[tuple[str, int], LayerPlan] = {}
        self._made: dict[Hashable, Any] = {}

    @classmethod
    def of(cls, subject: Network | Study, **given: Any) -> Study:
        """The study itself, or one of a network with what is `given`."""
        return subject if isinstance(subject, Study) else cls(subject, **given)

    @property
    def trace(self) -> Trace:
        """The golden trace; raises ValueError where none was given."""
        if self._trace is None:
            raise ValueError("the study must have a golden trace")
        return self._trace

    @cached_property
    def activity(self) -> Activity:
        """Mean events of every population in the golden trace, and the rows that they visit."""
        return Activity(self.network, self.trace)

    @cached_property
    def lanes(self) -> dict[str, int]:
        """Lanes of each population.

        Raises
        ------
        ModelError
            If those given leave a population out.
        """
        given = self._lanes(self) if callable(self._lanes) else self._lanes
        if given is None:
            return uniform_lanes(self.network)
        missing = [p.name for p in self.network.targets if p.name not in given]
        if missing:
            raise ModelError(f"lanes must name every population, not leave out {missing[0]!r}")
        return dict(given)

    def laid_out(
        self,
        lanes: Lanes,
        bursts: Bursts | None = None,
        ways: Mapping[str, Ways] | None = None,
    ) -> Study:
        """The same with other lanes, ways and bursts; what does not depend on them is shared."""
        other = copy(self)
        other._lanes, other._made, other.ways = lanes, {}, dict(ways or {})
        if bursts is not None and bursts is not self.bursts:
            other.bursts, other._planners, other._plans = bursts, {}, {}
        for name in ("lanes", "plans"):
            other.__dict__.pop(name, None)
        return other

    def shipping(self, trace: Trace) -> Study:
        """The same, laid out as it is, with another golden trace."""
        if trace is self.trace:
            return self
        return Study(
            self.network,
            trace=trace,
            lanes=lambda _: self.lanes,
            bursts=self.bursts,
            ways=self.ways,
        )

    def relaid(self, bursts: Bursts) -> Study:
        """The same with other bursts, and lanes chosen for them as they were here."""
        return self.laid_out(self._lanes, bursts)

    def plan(self, name: str, lanes: int) -> LayerPlan:
        """One population as hardware with so many lanes."""
        if (name, lanes) not in self._plans:
            if name not in self._planners:
                self._planners[name] = Planner(self.network, self.network[name], self.bursts)
            self._plans[name, lanes] = self._planners[name].plan(lanes)
        return self._plans[name, lanes]

    @cached_property
    def plans(self) -> dict[str, LayerPlan]:
        """Every population with the lanes that it has.

        Raises
        ------
        ModelError
            If a number of lanes does not suit its population.
        """
        plans = {p.name: self.plan(p.name, self.lanes[p.name]) for p in self.network.targets}
        if self.bursts.streams:
            plans = by_lines(self.network, plans, raster=self.bursts.raster)
        return plans | {n: replace(plans[n], ways=way) for n, way in self.ways.items()}

    @property
    def sent(self) -> Bursts:
        """What is sent as bursts, and in which lines, now that lanes are known."""
        if not self.bursts.streams:
            return self.bursts
        lines = {
            name: plan.layout.block[0]
            for name, plan in self.plans.items()
            if plan.lines is not None and plan.lines.sends > 1
        }
        return replace(self.bursts, lines=lines)

    def once(self, make: Callable[..., Made], *given: Hashable) -> Made:
        """``make(study, *given)``, worked out the first time that it is asked for."""
        key = (make, *given)
        if key not in self._made:
            self._made[key] = make(self, *given)
        found: Made = self._made[key]
        return found


def balanced(study: Study) -> dict[str, int]:
    """The fewest lanes that do not slow the network down on the golden inputs."""
    return balanced_lanes(study.network, study.activity, plan=study.plan)
