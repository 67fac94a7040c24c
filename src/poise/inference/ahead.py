"""Work on many images in threads, a few images ahead of who asks for them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

Wish = TypeVar("Wish")
Made = TypeVar("Made")


def ahead(work: Callable[[Wish], Made], wishes: Iterable[Wish], workers: int) -> Iterator[tuple[Wish, Callable[[], Made]]]:
    """Every wish with what gives its result, or raises its error; `workers` threads are a few wishes ahead.

    Args:
        work: Done in a thread.
        wishes: In the order in which they come back.
        workers: Threads; with 0 the work is done when it is asked for.
    """
    if workers == 0:
        yield from ((wish, partial(work, wish)) for wish in wishes)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="poise-read")
    try:
        jobs: deque[tuple[Wish, Callable[[], Made]]] = deque()
        for wish in wishes:
            jobs.append((wish, pool.submit(work, wish).result))
            if len(jobs) > 2 * workers:
                yield jobs.popleft()
        while jobs:
            yield jobs.popleft()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
