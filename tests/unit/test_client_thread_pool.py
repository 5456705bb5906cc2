import threading
from contextvars import ContextVar

import pytest

from app.client.errors import BulkheadFull
from app.client.thread_pool_bulkhead import ThreadPoolBulkhead
from app.client.worker_pool import WorkerPool
from app.domain.bulkhead import ThreadPoolBulkheadPolicy

tenant = ContextVar("tenant", default="nobody")


def of(core=1, most=1, queue=1, keep_alive_ms=20):
    return ThreadPoolBulkhead(
        "p",
        ThreadPoolBulkheadPolicy(
            core_thread_pool_size=core,
            max_thread_pool_size=most,
            queue_capacity=queue,
            keep_alive_duration_ms=keep_alive_ms,
        ),
    )


def test_threads_first_then_the_queue_then_more_threads_then_refusal():
    bulkhead, release = of(core=1, most=2, queue=1), threading.Event()
    futures = [bulkhead.submit(release.wait) for _ in range(3)]
    assert bulkhead.gauges() == {"threads": 2, "core": 1, "most": 2, "queued": 1, "queue_capacity": 1}
    with pytest.raises(BulkheadFull, match="'p'"):
        bulkhead.submit(print)
    release.set()
    assert [future.result(60) for future in futures] == [True, True, True]
    assert bulkhead.counts()["CALL_REJECTED"] == 1


def test_a_call_runs_in_a_thread_of_the_pool_with_the_callers_context():
    bulkhead = of()
    tenant.set("acme")
    name, seen = bulkhead.call(lambda: (threading.current_thread().name, tenant.get()))
    assert name.startswith("bulkhead-p-")
    assert seen == "acme"
    assert [event.type for event in bulkhead.recent_events()] == ["CALL_PERMITTED", "CALL_FINISHED"]


def test_its_error_is_the_callers():
    with pytest.raises(ZeroDivisionError):
        of().call(lambda: 1 / 0)


async def test_a_task_waits_for_it_without_holding_up_the_loop():
    assert await of().run(pow, 2, exp=5) == 32


async def test_a_coroutine_function_is_refused():
    async def nothing():
        pass

    with pytest.raises(TypeError, match="a thread pool holds plain functions"):
        await of().acall(nothing)


def test_what_is_cancelled_in_the_queue_never_runs():
    bulkhead, release, ran = of(), threading.Event(), []
    first = bulkhead.submit(release.wait)
    queued = bulkhead.submit(ran.append, 1)
    assert queued.cancel()
    release.set()
    first.result(60)
    bulkhead.submit(ran.append, 2).result(60)
    assert ran == [2]


def test_without_a_queue_an_idle_thread_takes_over():
    pool = WorkerPool("w", core=0, most=1, queue_capacity=0, keep_alive_ms=60_000)
    release = threading.Event()
    first = pool.submit(release.wait)
    assert pool.submit(print) is None
    release.set()
    first.result(60)
    later = None
    while later is None:
        later = pool.submit(threading.current_thread)
    assert later.result(60).name == "w-1"


def test_threads_beyond_the_core_end():
    pool = WorkerPool("w", core=0, most=4, queue_capacity=0, keep_alive_ms=1)
    pool.submit(tenant.get).result(60)
    ended = threading.Event()
    while pool.threads:
        ended.wait(0.001)
    assert pool.submit(int).result(60) == 0


def test_a_closed_one_ends_its_work_and_takes_no_more():
    bulkhead, release = of(), threading.Event()
    running, queued = bulkhead.submit(release.wait), bulkhead.submit(int)
    bulkhead.close()
    with pytest.raises(BulkheadFull):
        bulkhead.submit(int)
    release.set()
    assert (running.result(60), queued.result(60)) == (True, 0)


def test_the_sizes_are_the_machines_where_nothing_is_said():
    pool = ThreadPoolBulkhead("p").pool
    assert 1 <= pool.core <= pool.most
    with pytest.raises(ValueError, match="coreThreadPoolSize 3: expected at most maxThreadPoolSize 2"):
        of(core=3, most=2)


def test_a_thread_that_the_system_did_not_give_is_not_counted(monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    bulkhead = of()
    with monkeypatch.context() as scarce:
        scarce.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            bulkhead.call(print)
    assert bulkhead.pool.threads == 0
    assert bulkhead.submit(lambda: 7).result(60) == 7
