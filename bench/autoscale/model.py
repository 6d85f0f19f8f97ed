"""A lane on AKS in virtual time: KEDA's poll, the autoscaler's steps, pods, nodes, drains.

Discrete events on SimPy. What is counted, when, and by whom follows KEDA and Kubernetes as they are
(docs/explanation/autoscaling.md lists it); what nobody can know beforehand (how long a node takes)
is an input. One seed gives one story.
"""

import math
import random
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

Steps = Generator[simpy.Event, Any, None]
_TOLERANCE = 0.1
"""The autoscaler does nothing within so much of its target."""


@dataclass(frozen=True, kw_only=True)
class Lane:
    """What is asked of a lane. Seconds; `service` are measured times, drawn from at random."""

    name: str
    service: Sequence[float]
    concurrency: int
    drain: float
    least: int
    most: int
    messages: int
    """KEDA's messageCount: messages for which one pod is asked for."""

    @property
    def mean(self) -> float:
        return sum(self.service) / len(self.service)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What the cluster takes its time for. Seconds."""

    poll: float = 10
    """KEDA's pollingInterval, and the age of the counts that the autoscaler sees."""
    sync: float = 15
    cooldown: float = 300
    stabilize: float = 300
    up_share: float = 1.0
    up_pods: int = 4
    up_period: float = 15
    down_share: float = 0.25
    down_period: float = 60
    pod_start: float = 8
    """From a place on a node to the first receive: image there, process started, link attached."""
    image_pull: float = 20
    """On a node that has not run the image yet."""
    node_start: float = 100
    node_spread: float = 0.3
    """Of a lognormal around `node_start`."""
    node_scan: float = 10
    node_idle: float = 600
    pods_per_node: int = 6
    warm: int = 1
    """Nodes that are always there."""


@dataclass
class Pod:
    node: "Node"
    closed: simpy.Event
    """Its drain is over: what it still has in hand is handed back."""
    ready: bool = False
    draining: bool = False
    busy: int = 0


@dataclass(eq=False)
class Node:
    pulled: bool = False
    pods: set[int] = field(default_factory=set)
    idle_since: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Told:
    """What became of it. Waits in seconds, of messages by the time they came."""

    waits: tuple[float, ...]
    arrivals: tuple[float, ...]
    redelivered: int
    pod_hours: float
    node_hours: float
    line: tuple[tuple[float, int, int, int], ...]
    """Every 15 s: time, messages waiting, pods wanted, pods ready."""

    def wait(self, share: float) -> float:
        """The wait that `share` of the messages stayed below."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class World:
    """One run of one lane."""

    def __init__(self, lane: Lane, cluster: Cluster, seed: int) -> None:
        self.lane, self.cluster = lane, cluster
        self.chance = random.Random(seed)
        self.env = simpy.Environment()
        self.queue: deque[tuple[float, int]] = deque()
        self.locked = 0
        self.seen = 0
        """What KEDA counted last."""
        self.last_active = -math.inf
        self.wanted = lane.least
        self.pods: dict[int, Pod] = {}
        self.pending = 0
        self.nodes = [Node(pulled=True) for _ in range(cluster.warm)]
        self.coming = 0
        self.recommended: deque[tuple[float, int]] = deque()
        self.changed: deque[tuple[float, int]] = deque()
        self.waits: dict[int, float] = {}
        self.redelivered = 0
        self.pod_seconds = self.node_seconds = 0.0
        self.line: list[tuple[float, int, int, int]] = []
        self._numbers = iter(range(10**9))

    def run(self, arrivals: Sequence[float], until: float) -> Told:
        """Carry `arrivals` (seconds, in order) to their end, and the lane on to `until`."""
        for process in (
            self._arrive(arrivals),
            self._keda(),
            self._autoscaler(),
            self._scheduler(),
        ):
            self.env.process(process)
        self.env.process(self._watch())
        self._to_wanted()
        self.env.run(until=until)
        while len(self.waits) < len(arrivals) and self.env.now < until + 86_400:
            self.env.run(until=self.env.now + 60)
        known = [self.waits[number] for number in sorted(self.waits)]
        return Told(
            waits=tuple(known),
            arrivals=tuple(arrivals),
            redelivered=self.redelivered,
            pod_hours=self.pod_seconds / 3600,
            node_hours=self.node_seconds / 3600,
            line=tuple(self.line),
        )

    def _arrive(self, arrivals: Iterable[float]) -> Steps:
        for number, at in enumerate(arrivals):
            if at > self.env.now:
                yield self.env.timeout(at - self.env.now)
            self.queue.append((at, number))
            self._hand_out()

    # KEDA: counts, and takes the lane from nothing to one pod and back.

    def _keda(self) -> Steps:
        while True:
            # Locked messages are counted as active by the service.
            self.seen = len(self.queue) + self.locked
            if self.seen:
                self.last_active = self.env.now
                if self.wanted == 0:
                    self._want(1)
            elif not self.lane.least and self.env.now - self.last_active >= self.cluster.cooldown:
                self._want(0)
            yield self.env.timeout(self.cluster.poll)

    # The horizontal pod autoscaler: from one to many, within its policies.

    def _autoscaler(self) -> Steps:
        while True:
            yield self.env.timeout(self.cluster.sync)
            if self.wanted == 0:
                continue
            now, here = self.env.now, self.wanted
            ratio = self.seen / (self.lane.messages * here)
            steady = abs(ratio - 1) <= _TOLERANCE
            raw = here if steady else math.ceil(self.seen / self.lane.messages)
            raw = min(max(raw, self.lane.least, 1), self.lane.most)
            self.recommended.append((now, raw))
            while self.recommended[0][0] <= now - self.cluster.stabilize:
                self.recommended.popleft()
            highest = max(pods for _, pods in self.recommended)
            if raw > here:
                self._want(min(raw, self._room_up(here)))
            elif highest < here:
                self._want(max(highest, self._room_down(here)))

    def _room_up(self, here: int) -> int:
        before = here - self._changed_within(self.cluster.up_period, up=True)
        share = math.ceil(before * (1 + self.cluster.up_share))
        return max(share, before + self.cluster.up_pods)

    def _room_down(self, here: int) -> int:
        before = here + self._changed_within(self.cluster.down_period, up=False)
        return math.ceil(before * (1 - self.cluster.down_share))

    def _changed_within(self, period: float, *, up: bool) -> int:
        since = self.env.now - period
        return sum(abs(by) for at, by in self.changed if at > since and (by > 0) == up)

    def _want(self, pods: int) -> None:
        if pods != self.wanted:
            self.changed.append((self.env.now, pods - self.wanted))
            self.wanted = pods
            self._to_wanted()

    def _to_wanted(self) -> None:
        there = [n for n, pod in self.pods.items() if not pod.draining]
        more = self.wanted - len(there) - self.pending
        if more > 0:
            self.pending += more
            self._place()
        for _ in range(-more):
            if self.pending:
                self.pending -= 1
                continue
            # pod-deletion-cost: not ready first, then idle ones, then the least busy.
            number = min(there, key=lambda n: (self.pods[n].ready, self.pods[n].busy, n))
            there.remove(number)
            self.env.process(self._drain(number))

    # Nodes and pods.

    def _place(self) -> None:
        for node in self.nodes:
            while self.pending and len(node.pods) < self.cluster.pods_per_node:
                self.pending -= 1
                number = next(self._numbers)
                self.pods[number] = Pod(node=node, closed=self.env.event())
                node.pods.add(number)
                self.env.process(self._start(number))

    def _start(self, number: int) -> Steps:
        pod = self.pods[number]
        pull = 0.0 if pod.node.pulled else self.cluster.image_pull
        yield self.env.timeout(pull + self.cluster.pod_start)
        pod.node.pulled = True
        if number in self.pods and not pod.draining:
            pod.ready = True
            self._hand_out()

    def _scheduler(self) -> Steps:
        """The cluster autoscaler: nodes for pods without a place; away with those idle for long."""
        while True:
            yield self.env.timeout(self.cluster.node_scan)
            short = math.ceil(self.pending / self.cluster.pods_per_node) - self.coming
            for _ in range(short):
                self.coming += 1
                self.env.process(self._node())
            for node in list(self.nodes):
                if node.pods:
                    node.idle_since = self.env.now
                spare = len(self.nodes) > self.cluster.warm
                if spare and self.env.now - node.idle_since >= self.cluster.node_idle:
                    self.nodes.remove(node)

    def _node(self) -> Steps:
        spread = self.cluster.node_spread
        yield self.env.timeout(
            self.cluster.node_start * self.chance.lognormvariate(-spread * spread / 2, spread)
        )
        self.coming -= 1
        self.nodes.append(Node(idle_since=self.env.now))
        self._place()

    def _drain(self, number: int) -> Steps:
        pod = self.pods[number]
        pod.draining = True
        if pod.busy:
            yield self.env.timeout(self.lane.drain)
        pod.closed.succeed()
        self._gone(number)

    def _gone(self, number: int) -> None:
        pod = self.pods.pop(number, None)
        if pod is not None:
            pod.node.pods.discard(number)
            self._place()

    # Messages.

    def _hand_out(self) -> None:
        while self.queue:
            free = [
                (pod.busy, number)
                for number, pod in self.pods.items()
                if pod.ready and not pod.draining and pod.busy < self.lane.concurrency
            ]
            if not free:
                return
            _, number = min(free)
            self.pods[number].busy += 1
            self.locked += 1
            self.env.process(self._work(number, *self.queue.popleft()))

    def _work(self, number: int, came: float, message: int) -> Steps:
        pod, begun = self.pods[number], self.env.now
        ended = self.env.timeout(self.chance.choice(self.lane.service))
        yield ended | pod.closed
        pod.busy -= 1
        self.locked -= 1
        if ended.processed:
            self.waits[message] = begun - came
        else:  # handed back; another pod begins it again
            self.redelivered += 1
            self.queue.appendleft((came, message))
        if pod.draining and not pod.busy:
            self._gone(number)
        self._hand_out()

    def _watch(self) -> Steps:
        every = 15.0
        while True:
            ready = sum(pod.ready and not pod.draining for pod in self.pods.values())
            self.line.append((self.env.now, len(self.queue), self.wanted, ready))
            self.pod_seconds += every * (len(self.pods) + self.pending)
            self.node_seconds += every * (len(self.nodes) + self.coming)
            yield self.env.timeout(every)
