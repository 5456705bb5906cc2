"""All that guards the calls of a service, by its name."""

from __future__ import annotations

import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from difflib import get_close_matches
from types import CoroutineType, TracebackType
from typing import Any, NamedTuple, ParamSpec, TypeVar

from ..domain.client_events import TYPES
from . import forks
from .breaker import CircuitBreaker
from .bulkhead import Bulkhead
from .clock import CLOCK, Clock
from .fallback import Fallback, Instead
from .fleet import Fleet, FleetBreaker
from .held import Blocks
from .part import AsyncWay, Caller, Part, Way, refuse, straight
from .rate_limiter import RateLimiter
from .registry import Registry, RegistryEvent
from .retry import Retry
from .scope import Scope
from .settings import DEFAULT, ORDER, Settings
from .thread_pool_bulkhead import ThreadPoolBulkhead
from .time_limiter import TimeLimiter

P = ParamSpec("P")
T = TypeVar("T")

Fallbacks = Mapping[type[Exception], Instead]
MakeBreaker = Callable[[str, Any], CircuitBreaker]
Policies = Mapping[str, Mapping[str, Any]]  # family, name, policy
PARTS: Mapping[str, Callable[[str, Any, Clock], Part]] = {
    "retry": Retry,
    "circuitbreaker": CircuitBreaker,
    "ratelimiter": RateLimiter,
    "timelimiter": TimeLimiter,
    "bulkhead": Bulkhead,
    "thread-pool-bulkhead": ThreadPoolBulkhead,
}
MOST_SCOPES = 1_000


class Ways(NamedTuple):
    way: Way
    async_way: AsyncWay


class Resilience:
    """Retry(Breaker(RateLimiter(TimeLimiter(Bulkhead(f))))) around each call, or another `order`, outermost first.

    `settings`: a mapping in Spring's shape (see Settings), or Settings. `policies`: by family and name, in the place
    of what the settings say; "default" stands for all names.

    A family takes part in the calls of a name where one of its entries speaks for it: `instances.<name>`,
    `instances.default` or `configs.default` (a breaker: `instances.<name>`, `configs.<name>` or `configs.default`), or
    where a part of that name was put into the `registry`. Where none does, a call is LookupError: it would go
    unguarded. A thread pool holds plain functions only, inside of the bulkhead.

    With `fleet`, the breaker of a name is the fleet's, and the fleet's report tells what the other parts do. `breaker`
    makes the breaker of a name from its policy, in the place of either.
    """

    def __init__(  # noqa: PLR0913  # all but the first by their names
        self,
        settings: Mapping[str, Any] | Settings | None = None,
        *,
        policies: Policies | None = None,
        order: Sequence[str] | None = None,
        breaker: MakeBreaker | None = None,
        fleet: Fleet | None = None,
        clock: Clock = CLOCK,
    ) -> None:
        self.settings = settings if isinstance(settings, Settings) else Settings(settings or {})
        self.registry = Registry()
        self._policies = policies or {}
        self._order = _checked(tuple(order or self.settings.order))
        self._breaker = breaker or (fleet.breaker if fleet else None)
        self._report = fleet.report if fleet else None
        self.clock = clock
        self._ways: dict[str, Ways] = {}
        self._scoped: dict[Scope, Ways] = {}
        self._begun: set[str] = set()
        self.registry.on_event(self._changed)
        self.forked()
        forks.keep(self)

    def forked(self) -> None:
        self._lock = threading.RLock()

    def call(self, name: str, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        ways = self._ways.get(name) or self._composed(name)
        result: T = ways.way(fn, args, kwargs)
        if type(result) is CoroutineType:
            refuse(result)
        return result

    def acall(
        self, name: str, fn: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]:
        ways = self._ways.get(name) or self._composed(name)
        return ways.async_way(fn, args, kwargs)

    def execute_with_resilience(self, name: str, supplier: Callable[[], T]) -> T:
        return self.call(name, supplier)

    def __call__(
        self,
        name: str,
        fallback: Fallbacks | None = None,
        *,
        operation: str | None = None,
        instance: str | None = None,
    ) -> Guard:
        """A decorator of def and async def, and `.call`, `.acall`; `with`, `async with`: see Guard.

        `operation` and `instance`: what its calls are about. A fleet may have narrower breakers for them.
        """
        return Guard(self, Scope(name, operation, instance), fallback)

    def ways(self, scope: Scope) -> Ways:
        """As composed now: another part in the registry changes them."""
        return self._scoped.get(scope) or self._composed(scope.service, scope)

    def parts(self, name: str) -> list[Part]:
        """That take part in the calls of this name, outermost first. LookupError if there is none."""
        self._begin(name)
        families = [*self._order, "thread-pool-bulkhead"]
        found = [part for family in families if (part := self.registry.get(family, name)) is not None]
        if not found:
            raise LookupError(f"nothing is configured for {name!r}{self._nearest(name)}")
        return found

    def snapshot(self) -> dict[str, dict[str, dict[str, int]]]:
        """Counters and gauges, by family and name, of the parts in use."""
        found: dict[str, dict[str, dict[str, int]]] = {}
        for part in self.registry.all():
            found.setdefault(part.kind, {})[part.name] = part.counts() | part.gauges()
        return found

    def _composed(self, name: str, scope: Scope | None = None) -> Ways:
        with self._lock:
            ways = Ways(straight, straight)
            for part in reversed(self.parts(name)):
                ways = _around(part, ways, scope)
            if scope is None:
                self._ways[name] = ways
            else:
                if len(self._scoped) >= MOST_SCOPES:
                    self._scoped.clear()
                self._scoped[scope] = ways
            return ways

    def _begin(self, name: str) -> None:
        """Makes the parts that settings and policies speak of, once: what is removed later stays away."""
        with self._lock:
            if name in self._begun:
                return
            for family in (*ORDER, "thread-pool-bulkhead"):
                policy = self._policy(family, name)
                if policy is not None and self.registry.get(family, name) is None:
                    self._make(family, name, policy)
            self._begun.add(name)

    def _policy(self, family: str, name: str) -> Any | None:
        given = self._policies.get(family, {})
        return given.get(name) or given.get(DEFAULT) or self.settings.policy(family, name)

    def _make(self, family: str, name: str, policy: Any) -> None:
        if family == "circuitbreaker" and self._breaker:
            self.registry.put(self._breaker(name, policy))
        else:
            self.registry.put(PARTS[family](name, policy, self.clock))

    def _changed(self, event: RegistryEvent) -> None:
        with self._lock:
            part = self.registry.get(event.family, event.name)
            if self._report and part and part.kind in TYPES:
                self._report.watch(part)
            self._ways.pop(event.name, None)
            self._scoped = {scope: ways for scope, ways in self._scoped.items() if scope.service != event.name}

    def _nearest(self, name: str) -> str:
        known = {each for family in (*ORDER, "thread-pool-bulkhead") for each in self.settings.names(family)}
        known |= {each for given in self._policies.values() for each in given} | self._begun - {name}
        close = get_close_matches(name, known, n=1)
        return f"; nearest: {close[0]}" if close else ""


class Guard(Caller):
    """Calls of one service. `with guard:` holds breaker, rate limiter and bulkhead alone: what stands in a block can be
    neither repeated nor given up on.
    """

    def __init__(self, resilience: Resilience, scope: Scope, fallback: Fallbacks | None) -> None:
        self._resilience = resilience
        self._scope = scope
        self._name = scope.service
        self._blocks: Blocks[ExitStack] = Blocks()
        self._async_blocks: Blocks[AsyncExitStack] = Blocks()
        ways = Ways(self._guarded, self._guarded_async)
        if fallback:
            ways = _around(Fallback(self._name, fallback, resilience.clock), ways)
        super().__init__(*ways)

    def __enter__(self) -> None:
        with ExitStack() as stack:
            for part in self._resilience.parts(self._name):
                if isinstance(part, Bulkhead | RateLimiter):
                    stack.enter_context(part)
                elif isinstance(part, CircuitBreaker):
                    stack.enter_context(part.held())
            self._blocks.enter(sys._getframe(1), stack.pop_all())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._blocks.leave(sys._getframe(1)).__exit__(kind, error, at)

    async def __aenter__(self) -> None:
        block = sys._getframe(1)
        async with AsyncExitStack() as stack:
            for part in self._resilience.parts(self._name):
                if isinstance(part, Bulkhead | RateLimiter):
                    await stack.enter_async_context(part)
                elif isinstance(part, CircuitBreaker):
                    stack.enter_context(part.held())
            self._async_blocks.enter(block, stack.pop_all())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._async_blocks.leave(sys._getframe(1)).__aexit__(kind, error, at)

    def _guarded(self, fn: Any, args: Any, kwargs: Any) -> Any:
        return self._resilience.ways(self._scope).way(fn, args, kwargs)

    def _guarded_async(self, fn: Any, args: Any, kwargs: Any) -> Coroutine[Any, Any, Any]:
        return self._resilience.ways(self._scope).async_way(fn, args, kwargs)


def _around(part: Part, ways: Ways, scope: Scope | None = None) -> Ways:
    if isinstance(part, FleetBreaker) and scope:
        return Ways(part.within(scope, ways.way), part.within_async(scope, ways.async_way))
    if isinstance(part, ThreadPoolBulkhead):
        return Ways(part.around(ways.way), ways.async_way)
    return Ways(part.around(ways.way), part.around_async(ways.async_way))


def _checked(order: tuple[str, ...]) -> tuple[str, ...]:
    if sorted(order) != sorted(ORDER):
        raise ValueError(f"order {', '.join(order)}: expected {', '.join(ORDER)}, each once")
    return order
