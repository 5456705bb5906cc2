"""Calls are held back while too many fail: CircuitBreakerStateMachine of Resilience4j 2.4, for threads and event loops.

No lock is held across a call. Where a success can change nothing but the window (`app.domain.breakers.calm`), it is
only noted: two readings of the clock and one append. Notes are counted with the next call that is judged, when somebody
looks, and when there are 1,000 of them, or one fewer than could show a rate.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from ..domain.breakers import breaker as machine
from ..domain.breakers import member as members
from ..domain.breakers.breaker import Metrics, Policy, State
from .alarm import ALARM, Alarm
from .breaker_events import BreakerEvents
from .breaker_steps import UNKNOWN, Listener, Steps
from .clock import CLOCK, Clock
from .events import Event, Subscriber
from .held import Blocks, Held
from .judging import CircuitBreakerPolicy
from .part import AsyncWay, Part, Way
from .retry import Ended


class CircuitBreaker(Part):
    """Raises CallNotPermitted. `with breaker:` and `async with breaker:` hold a permit, and judge how the block ended.

    What ends with no Exception, as a cancelled task, is no outcome: its permit is free again.
    `listener` hears of every call that ended, or was not permitted. In a fleet, see fleet.py.
    """

    kind = "circuitbreaker"
    counted = ()

    def __init__(
        self,
        name: str,
        policy: Policy | None = None,
        clock: Clock = CLOCK,
        *,
        listener: Listener | None = None,
        alarm: Alarm = ALARM,
    ) -> None:
        events = BreakerEvents(name, clock)
        self._steps = Steps(policy or CircuitBreakerPolicy(), clock, events, alarm, listener)
        self._blocks: Blocks[Held] = Blocks()
        super().__init__(name, clock)
        self.events = events

    @property
    def state(self) -> State:
        return self._steps.member.breaker.state

    @property
    def told(self) -> members.Told | None:
        """By the fleet, and adopted."""
        return self._steps.member.told

    @property
    def asked_at(self) -> int:
        """When a call was first refused that the fleet would have to permit; 0: none since it was heard last."""
        return self._steps.member.asked_at

    @property
    def policy(self) -> Policy:
        return self._steps.policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        """From the next call on; the window stays."""
        self._steps.configure(policy)

    @property
    def listener(self) -> Listener | None:
        return self._steps.listener

    @listener.setter
    def listener(self, listener: Listener | None) -> None:
        self._steps.listener = listener

    def metrics(self) -> Metrics:
        breaker = self._steps.settle().breaker
        return machine.metrics(breaker, self.clock.wall_ms(), self.policy)

    def settle(self) -> None:
        """Counts what was only noted."""
        self._steps.settle()

    def recent_events(self) -> list[Event]:
        self.settle()
        return super().recent_events()

    def counts(self) -> dict[str, int]:
        """Events, by type."""
        self.settle()
        return super().counts()

    def gauges(self) -> dict[str, int]:
        """`state` is Resilience4j's number of it."""
        metrics = self.metrics()
        return {
            "state": list(State).index(self.state),
            "buffered": metrics.buffered,
            "failed": metrics.failed,
            "slow": metrics.slow,
            "slow_failed": metrics.slow_failed,
            "not_permitted": metrics.not_permitted,
        }

    def on_event(self, subscriber: Subscriber, *types: str) -> Callable[[], None]:
        """As long as somebody hears of successes, they are judged one by one."""
        end = super().on_event(subscriber, *types)
        self.settle()

        def ended() -> None:
            end()
            self.settle()

        return ended

    def try_acquire(self) -> bool:
        return self._steps.permitted(None) is not None

    def acquire(self) -> int:
        """The number of the state that permits it. Followed by one of `success`, `error` and `release`."""
        return self._steps.acquire(None)

    def release(self, seq: int = UNKNOWN) -> None:
        """The call was not made after all, or has no outcome. `seq`, here and below: what `acquire` gave."""
        self._steps.given_up(seq)

    def success(self, duration_ns: int, result: Any = None, seq: int = UNKNOWN) -> None:
        self._steps.judged(Ended(result), duration_ns, seq, None)

    def error(self, duration_ns: int, error: Exception, seq: int = UNKNOWN) -> None:
        self._steps.judged(Ended(error=error), duration_ns, seq, None)

    def move(self, to: State | str) -> None:
        """By hand. Raises NoSuchChange: CLOSED does not become HALF_OPEN, nor METRICS_ONLY OPEN or HALF_OPEN.

        In a fleet this lasts until a newer state is told.
        """
        fraction = self.clock.random()
        self._steps.by_hand(lambda now, now_ms: machine.move(now, State(to), now_ms, self.policy, fraction))

    def open_for(self, ms: int) -> None:
        self._steps.by_hand(lambda now, now_ms: machine.open_until(now, now_ms + ms, now_ms, self.policy))

    def reset(self) -> None:
        """CLOSED, with an empty window."""
        self._steps.by_hand(lambda now, now_ms: machine.reset(now, now_ms, self.policy))

    def adopt(self, told: members.Told | None) -> None:
        """A state of the fleet; None: it has no such breaker any more."""
        if told is None:
            self._steps.step(lambda member, now_ms: members.forget(member, now_ms, self.policy))
        else:
            self._steps.step(lambda member, now_ms: members.adopt(member, told, now_ms, self.policy))

    def alone(self) -> None:
        """The fleet has not been heard for too long."""
        fraction = self.clock.random()
        self._steps.step(lambda member, now_ms: members.alone(member, now_ms, self.policy, fraction))

    def back(self) -> None:
        """It is heard again."""
        self._steps.step(lambda member, now_ms: members.back(member, now_ms, self.policy))

    def around(self, inner: Way) -> Way:
        return self.about(None, inner)

    def around_async(self, inner: AsyncWay) -> AsyncWay:
        return self.about_async(None, inner)

    def about(self, about: Any, inner: Way) -> Way:
        """The listener is told what these calls are about."""
        steps, now_ns = self._steps, self.clock.now_ns

        def guarded(fn: Any, args: Any, kwargs: Any) -> Any:
            notes = steps.notes
            seq = steps.acquire(about) if notes is None else notes.seq
            began_ns = now_ns()
            try:
                result = inner(fn, args, kwargs)
            except Exception as error:
                steps.judged(Ended(error=error), now_ns() - began_ns, seq, about)
                raise
            except BaseException:
                steps.given_up(seq)
                raise
            ended_ns = now_ns()
            if notes is None or ended_ns - began_ns > notes.limit_ns or ended_ns > notes.until_ns:
                steps.judged(Ended(result), ended_ns - began_ns, seq, about)
                return result
            notes.append((began_ns, ended_ns, about))
            if notes is not steps.notes or len(notes) >= notes.most:
                steps.settle(notes)
            return result

        return guarded

    def about_async(self, about: Any, inner: AsyncWay) -> AsyncWay:
        steps, now_ns = self._steps, self.clock.now_ns

        async def guarded(fn: Any, args: Any, kwargs: Any) -> Any:
            notes = steps.notes
            seq = steps.acquire(about) if notes is None else notes.seq
            began_ns = now_ns()
            try:
                result = await inner(fn, args, kwargs)
            except Exception as error:
                steps.judged(Ended(error=error), now_ns() - began_ns, seq, about)
                raise
            except BaseException:
                steps.given_up(seq)
                raise
            ended_ns = now_ns()
            if notes is None or ended_ns - began_ns > notes.limit_ns or ended_ns > notes.until_ns:
                steps.judged(Ended(result), ended_ns - began_ns, seq, about)
                return result
            notes.append((began_ns, ended_ns, about))
            if notes is not steps.notes or len(notes) >= notes.most:
                steps.settle(notes)
            return result

        return guarded

    def held(self) -> Held:
        """`with breaker.held():` is a block as `with breaker:` is, and its permit has a name."""
        return Held(self._steps)

    def __enter__(self) -> None:
        self._enter(sys._getframe(1))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._blocks.leave(sys._getframe(1)).__exit__(kind, error, at)

    async def __aenter__(self) -> None:
        self._enter(sys._getframe(1))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._blocks.leave(sys._getframe(1)).__exit__(kind, error, at)

    def _enter(self, block: FrameType) -> None:
        held = self.held()
        held.__enter__()
        self._blocks.enter(block, held)
