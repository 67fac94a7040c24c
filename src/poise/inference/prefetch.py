"""Work on many images in threads, a few images ahead of who asks for them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetch(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[tuple[T, Callable[[], R]]]:
    """Every item with what gives its result, or raises its error; `workers` threads are a few items ahead.

    Args:
        work: Done in a thread.
        items: In the order in which they come back.
        workers: Threads; with 0 the work is done when it is asked for.
    """
    if workers == 0:
        yield from ((item, partial(work, item)) for item in items)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="poise-read")
    try:
        jobs: deque[tuple[T, Callable[[], R]]] = deque()
        for item in items:
            jobs.append((item, pool.submit(work, item).result))
            if len(jobs) > 2 * workers:
                yield jobs.popleft()
        while jobs:
            yield jobs.popleft()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
