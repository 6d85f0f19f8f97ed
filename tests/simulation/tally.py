"""Many stories, told one after the other, and what they came to."""

import gc
import logging
from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.invariants import Broken
from tests.simulation.ledger import an_engine, emptied
from tests.simulation.loop import Stuck, virtually
from tests.simulation.world import World, a_story


@dataclass
class Tally:
    """What many stories came to."""

    stories: int = 0
    seconds: float = 0.0
    states: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    handlers: int = 0
    broken: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.stories += other.stories
        self.seconds += other.seconds
        self.states += other.states
        self.faults += other.faults
        self.handlers += other.handlers
        self.broken += other.broken


def settled_in() -> None:
    """In a process that only tells stories: collecting what is imported again and again is a tenth
    of a story."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def told(seeds: range) -> Tally:
    """Tell the stories of `seeds`, one after the other."""
    logging.disable(logging.ERROR)
    try:
        return _told(seeds)
    finally:
        logging.disable(logging.NOTSET)


def _told(seeds: range) -> Tally:
    engine, tally = an_engine(), Tally()
    for seed in seeds:
        tally.stories += 1
        try:
            one = virtually(World(seed, a_story(seed), emptied(engine)).told())
        except (Broken, Stuck) as broken:
            tally.broken.append((seed, str(broken)))
            continue
        tally.seconds += one.virtual_seconds
        tally.states[one.state.value] += 1
        tally.faults += one.faults
        tally.faults["lost lock or redelivery"] += one.lost_locks
        tally.handlers += one.ran.total()
    engine.dispose()
    return tally
