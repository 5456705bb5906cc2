"""A worker process, from its checks to its end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import faust
from aiokafka.client import AIOKafkaClient
from yarl import URL

from app.engine import startup
from app.engine.broker import cluster, fetch
from app.engine.broker.cluster import Cluster
from app.engine.engine import Engine
from app.engine.fatal import fatal
from app.engine.group import group
from app.engine.group.assignment import Means, Place
from app.engine.group.assignor import TaskAssignor, me_of
from app.engine.group.credentials import credentials
from app.engine.group.group import Coordinator, FencedInstanceIdError, Watch
from app.engine.group.recovery import Refused
from app.engine.group.rollcall import RollCall
from app.engine.group.slots import STORES, Slot, take
from app.engine.group.transport import ChunkTopic, Transport
from app.engine.health.pulse import Pulse
from app.engine.plan import Plan, advertised
from app.engine.processor import Out, Processor, Reading, Record, View
from app.engine.readings import Complete
from app.engine.state.rocks import Damaged
from app.engine.state.stored import Unreadable
from app.engine.tasks.clock import Clock
from app.engine.tasks.lane import Runtime
from app.engine.tasks.outbox import Outbox
from app.engine.topology import build
from app.engine.transactions.transaction import Claim, Transactions
from app.engine.views import Followed
from app.engine.wanted import wanted
from app.telemetry.logs import log

REFUSED, TWIN, FAILED = 1, 3, 4  # exit codes: do not restart, do not restart, restart
STOP_S = 8.0


Around = Callable[["Worker"], AbstractAsyncContextManager[None]]


class Worker:
    """One process: a Faust app whose agents hand their chunks to the engine."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.subs = build(plan.processors, plan.named)
        self.cluster = Cluster()
        self.client: AIOKafkaClient
        self.transactions: type[Transactions]
        self.engine: Engine
        self.slot: Slot
        self.views: dict[View[Any], Followed[Any]] = {}
        self.stopping = asyncio.Event()

    @property
    def port(self) -> int | None:
        plan = self.plan
        return plan.port if plan.port is None or plan.port_is_fixed else plan.port + self.slot.number

    @property
    def url(self) -> str:
        """Where other workers reach this one; empty without HTTP."""
        return "" if self.port is None else advertised(self.plan.advertised, self.plan.host, self.port)

    def fail(self, error: BaseException) -> None:
        """Nothing more is written, from whatever thread: what a crash leaves behind is what it is made for.

        Once the worker stops, a task that was still getting ready may fail: that changes nothing.
        """
        if self.stopping.is_set():
            log.warning("failed_while_stopping", error=f"{type(error).__name__}: {error}")
            return
        met_again = isinstance(error, startup.NotReady | Refused | Unreadable) and not isinstance(error, Damaged)
        code = TWIN if isinstance(error, FencedInstanceIdError) else REFUSED if met_again else FAILED
        log.error(
            "worker_failed", error=f"{type(error).__name__}: {error}", exit_code=code, exc_info=code == FAILED and error
        )
        os._exit(code)

    async def check(self) -> None:
        """Everything that can be found wrong before anything is consumed. Raises NotReady, NoSlot, UnknownTopic."""
        plan = self.plan
        startup.check_packages()
        fetch.install()
        group.install()
        self.slot = take(plan.data)
        if self.port is not None:
            startup.check_port(plan.host, self.port)
        self.client = AIOKafkaClient(**plan.access.arguments, request_timeout_ms=15_000, retry_backoff_ms=50)
        await startup.reach(self.client, plan.access)
        self.transactions = await startup.choose_version(self.client)
        log.info("transactions_chosen", version=self.transactions.__name__)
        await self._topics()
        await startup.reach_group(self.client, plan.group)

    async def _topics(self) -> None:
        plan, subs, counts = self.plan, self.subs.values(), self.cluster.counts
        names = [topic.name for topic in wanted(plan, subs, counts)]
        await cluster.look(self.client, names, self.cluster)
        topics = wanted(plan, subs, counts)
        missing = {topic: topics[topic] for topic in startup.missing_topics(counts, topics)}
        if missing:
            log.info("topics_created", topics=sorted(topic.name for topic in missing))
            await cluster.create(self.client, missing, plan.replication)
            await cluster.until_led(self.client, names, self.cluster)
        self.cluster.limits.learn(await cluster.limits(self.client, names))
        self._check_counts()
        await self.client.set_topics(names)

    def _check_counts(self) -> None:
        startup.check_counts(self.cluster.counts, self.subs.values(), self.plan.partitions)

    async def run(self, around: Around, before_joining: Callable[[Worker], Awaitable[None]]) -> None:
        """Until SIGTERM or SIGINT. `around` is entered first; `before_joining` is awaited once the views are read."""
        plan = self.plan
        self.app = self._app(self.slot.instance, self.slot.directory / "faust")
        me = me_of(self.slot, self.url, self.subs, plan.partitions, self.cluster.counts)
        self.app.conf.PartitionAssignor = partial(TaskAssignor, me=me)
        self._hear_the_group()
        self.engine = self.app.engine = self._engine()
        self.pulse = Pulse(self.engine, self.client, self.slot.directory / STORES, self.views.values())
        async with around(self), self._background():
            await before_joining(self)
            await self.app.start()
            await self.stopping.wait()
            await self._stop()
        await self.client.close()

    async def _stop(self) -> None:
        """What is not committed when the time is up is read again."""
        log.info("stopping", leaving=Coordinator.leaving)
        try:
            async with asyncio.timeout(STOP_S):
                await self.app.stop()
                await self.engine.assignment.close()
        except TimeoutError:
            log.warning("stop_gave_up", seconds=STOP_S)
            os._exit(0)

    def _told_to_stop(self) -> None:
        """The second time, the group is left: nobody waits for this member to come back (T6)."""
        Coordinator.leaving = self.plan.leave or self.stopping.is_set()
        if not self.stopping.is_set():
            asyncio.get_running_loop().call_later(STOP_S + 1, os._exit, 0)  # wherever it hangs, in start-up too
        self.stopping.set()

    def _hear_the_group(self) -> None:
        Watch.claimed = staticmethod(self._claimed)
        Watch.failed = staticmethod(self.fail)
        Watch.fenced = staticmethod(lambda: self.fail(FencedInstanceIdError("another worker has this instance id")))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._told_to_stop)

    def _rejoin(self) -> None:
        self.app.consumer._thread.rejoin()

    def _claimed(self, claim: Claim) -> None:
        self.engine.assignment.claimed(claim)

    def listed(self) -> Any:
        """The Faust app, not to be started: for Faust's own command."""
        return self._app(None, self.plan.data / "faust")

    def _app(self, instance: str | None, directory: Path) -> Any:
        plan = self.plan
        app = faust.App(
            plan.group,
            broker=f"kafka://{plan.bootstrap.replace(',', ';')}",
            broker_credentials=credentials(plan.security),
            datadir=str(directory),
            store="memory://",
            web_enabled=False,
            topic_disable_leader=True,
            topic_partitions=plan.partitions,
            table_standby_replicas=0,
            TableManager="app.engine.group.transport:TableManager",
            broker_commit_interval=3_600.0,
            broker_commit_every=10**9,
            broker_session_timeout=plan.session_s,
            broker_heartbeat_interval=min(1.0, plan.session_s / 4),
            broker_request_timeout=max(30.0, plan.session_s),
            broker_rebalance_timeout=30.0,
            consumer_group_instance_id=instance,
            consumer_metadata_max_age_ms=10_000,
            stream_buffer_maxsize=4_096,
            stream_recovery_delay=0.0,
            producer_request_timeout=30.0,
        )
        cast(Any, app)._crash = self.fail  # mode would mark its services as crashed, and wait (T7)
        app._transport = Transport([URL(f"kafka://{first}") for first in plan.bootstrap.split(",")], app)
        for sub in self.subs.values():
            for processor in {reader.processor for reader in sub.readers.values()}:
                self._agent(app, processor, [name for name, r in sub.readers.items() if r.processor is processor])
        return app

    def _agent(self, app: Any, processor: Processor, topics: list[str]) -> None:
        async def consume(stream: Any) -> None:
            async for chunk in stream:
                with fatal(self.fail):
                    await app.engine.process(chunk)

        app.agent(ChunkTopic(app, topics=topics), name=processor.name)(consume)

    def _engine(self) -> Engine:
        plan = self.plan
        transactions = self.transactions(
            self.client, f"iopt.{plan.group}.{self.slot.instance}", plan.group, plan.transaction_ms
        )
        place = Place(self.slot.directory, self.cluster.id, self.cluster.ids)
        means = Means(
            self.app,
            self.subs,
            self.client,
            transactions,
            self.cluster,
            RollCall(self.app.assignor, self._rejoin),
            place,
            plan.reset,
            plan.cache_bytes,
            plan.timer_wait_s,
            self.fail,
        )
        return Engine(means, self._runtime, plan.pace)

    def _runtime(self, outbox: Outbox, clock: Clock) -> Runtime:
        plan = self.plan
        return Runtime(
            counts=self.cluster.counts,
            append=outbox.append,
            readings=self._readings(),
            complain=log.error,
            clock=clock.now_ms,
            group=plan.group,
            source=plan.source,
            version=plan.version,
            limits=self.cluster.limits,
        )

    def _readings(self) -> dict[View[Any], Reading[Any]]:
        found: dict[View[Any], Reading[Any]] = {}
        for view in {view for sub in self.subs.values() for view in sub.views}:
            if view in self.plan.settings:
                found[view] = Complete(view.name, self.plan.settings[view])
            else:
                assert view.topic is not None, f"view {view.name}: neither a topic nor settings fill it"
                followed = Followed(view, self.client, self.cluster.counts[view.topic.name])
                self.views[view] = found[view] = followed
        return found

    @asynccontextmanager
    async def _background(self) -> AsyncIterator[None]:
        """Views are read to their ends first; then they follow, the engine beats, and garbage is left alone."""
        beats = [self._guarded(self.pulse.run())]
        await asyncio.gather(*(view.read_to_end() for view in self.views.values()))
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        beats += [self._guarded(view.follow()) for view in self.views.values()]
        watch = cluster.watch(self.client, self.cluster, self._check_counts)
        others = (self.engine.run(), self.engine.assignment.roll.run(), watch)
        beats += [self._guarded(beat) for beat in others]
        try:
            yield
        finally:
            for beat in beats:
                beat.cancel()

    def _guarded(self, beat: Any) -> asyncio.Task[None]:
        async def guard() -> None:
            with fatal(self.fail):
                await beat

        return asyncio.ensure_future(guard())

    async def publish(self, outs: Iterable[Out]) -> None:
        """Records of the worker's own, in a transaction without positions, before it joins the group."""
        outbox, now_ms = Outbox(self.cluster.limits), self.engine.clock.now_ms()
        for encoded in self.engine.runtime.encode_all(outs, Record("", now_ms, now_ms), cause=self.slot.instance):
            outbox.append(encoded, now_ms)
        transactions = self.transactions(
            self.client, f"iopt.{self.plan.group}.{self.slot.instance}.start", self.plan.group, self.plan.transaction_ms
        )
        await transactions.init()
        await transactions.commit(outbox.take(), {}, Claim(-1, "", None))
