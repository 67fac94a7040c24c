"""A simulation of the inference loop on images with few and with many people: how busy the network is kept.

It has the loop's rules (`inference.stream`): threads read ahead, in order; the network waits for the next image; the people of
images fill batches, across images or, to compare, of each image alone.
"""

import heapq
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from poise.inference.stream import BATCHES_AHEAD


@final
@dataclass(frozen=True)
class LoopCosts:
    """What the loop's parts take.

    Attributes:
        reading: Seconds of a thread for an image: reading and cropping.
        fixed: Seconds of a run of the network, whatever its batch.
        person: Seconds that each person of a batch adds.
        batch: People in a batch.
        workers: Threads that read.
        ahead: Batches of people whom they read ahead, at least two images each.
    """

    reading: float
    fixed: float
    person: float
    batch: int
    workers: int
    ahead: int = BATCHES_AHEAD


@final
@dataclass(frozen=True)
class Busy:
    """What came of a simulation.

    Attributes:
        images_a_second: Images a second.
        network: Share of the time in which the network ran.
        people_a_run: Mean people in a batch.
    """

    images_a_second: float
    network: float
    people_a_run: float


def people_counts(images: int, *, mean: float, skew: float, seed: int = 0) -> list[int]:
    """How many people are in each image; log-normal, rounded at random so that the mean is kept.

    Args:
        images: How many images.
        mean: People per image.
        skew: Deviation of the logarithm: 0 gives every image the same, 1 and 2 have heavy tails.
        seed: Of the random choices.
    """
    rng = np.random.default_rng(seed)
    raw = np.exp(rng.normal(-skew * skew / 2, skew, images))
    wished = raw * (mean / max(raw.mean(), 1e-12))
    whole = (
        np.floor(wished + rng.random(images))
        if skew
        else np.floor(np.arange(1, images + 1) * mean) - np.floor(np.arange(images) * mean)
    )
    return [int(count) for count in whole]


def simulate(counts: Sequence[int], costs: LoopCosts, *, across: bool = True) -> Busy:
    """Run the loop on images with so many people.

    Args:
        counts: People in each image.
        costs: What its parts take.
        across: Whether batches run across images; else the people of each image are batches of their own.
    """
    threads = [0.0] * costs.workers
    ahead: deque[tuple[float, int]] = deque()
    loop, waiting, most = _Loop(costs, across), 0, costs.ahead * costs.batch
    for people in counts:
        begun = max(heapq.heappop(threads), loop.now)
        heapq.heappush(threads, begun + costs.reading)
        ahead.append((begun + costs.reading, people))
        waiting += people
        while len(ahead) > 2 * costs.workers and (waiting >= most or len(ahead) > most):
            waiting -= ahead[0][1]
            loop.take(*ahead.popleft())
    for read, people in ahead:
        loop.take(read, people)
    loop.run(loop.pending)
    total = max(loop.now, 1e-12)
    return Busy(len(counts) / total, loop.busy / total, sum(counts) / max(loop.runs, 1))


@final
class _Loop:
    """The thread of the network."""

    def __init__(self, costs: LoopCosts, across: bool) -> None:
        self.costs, self.across = costs, across
        self.now = self.busy = 0.0
        self.pending = self.runs = 0

    def take(self, read: float, people: int) -> None:
        """The next image, which is there at the time `read`."""
        self.now = max(self.now, read)
        self.pending += people
        while self.pending >= self.costs.batch:
            self.run(self.costs.batch)
        if not self.across:
            self.run(self.pending)

    def run(self, people: int) -> None:
        """One batch."""
        if people:
            seconds = self.costs.fixed + self.costs.person * people
            self.now += seconds
            self.busy += seconds
            self.runs += 1
            self.pending -= people


def largest_share(counts: Sequence[int]) -> float:
    """Share of all people who are in the hundredth of the images with most of them."""
    most = sorted(counts, reverse=True)[: math.ceil(len(counts) / 100)]
    return sum(most) / max(sum(counts), 1)
