"""breaker-acts, call-outcomes -> acts.act, fleet.decide -> breakers -> breaker-transitions, breaker-states, audit"""

from collections.abc import Iterable, Iterator

from app.domain.audit import Audit
from app.domain.breakers import acts, fleet
from app.domain.breakers.breaker import Policy
from app.domain.breakers.calls import BreakerAct, BreakerState, CallOutcome, Transition
from app.domain.breakers.fleet import Effect, Fleet, Terms
from app.domain.breakers.scopes import Scopes
from app.engine.processor import Change, Due, Out, Reading, Record, processor
from app.wire.topics import AUDIT, BREAKER_ACTS, BREAKER_STATES, BREAKER_TRANSITIONS, CALL_OUTCOMES
from tables.breaker import breakers, policies, scopes


@processor(BREAKER_ACTS, keeps=breakers, reads=(policies, scopes), row="breaker", first=True)
def act_on_breakers(
    kept: Fleet | None, value: BreakerAct, record: Record, policies: Reading[Policy], scopes: Reading[Scopes]
) -> Change[Fleet]:
    kept, effects = acts.act(kept, value, record.at_ms, record.now_ms, Terms(policies, scopes))
    return kept, carried(effects)


@processor(CALL_OUTCOMES, keeps=breakers, reads=(policies, scopes), row="breaker", timers=True)
def judge_calls(
    kept: Fleet | None, value: CallOutcome | Due, record: Record, policies: Reading[Policy], scopes: Reading[Scopes]
) -> Change[Fleet]:
    terms = Terms(policies, scopes)
    if isinstance(value, Due):
        kept, effects = fleet.expire(kept, record.key, record.now_ms, terms)
    else:
        kept, effects = fleet.decide(kept, value, record.at_ms, record.now_ms, terms)
    return kept, carried(effects) if effects else ()


def carried(effects: Iterable[Effect]) -> Iterator[Out]:
    for effect in effects:
        match effect:
            case Transition():
                yield Out(BREAKER_TRANSITIONS, effect.breaker, effect, effect.id)
            case BreakerState():
                yield Out(BREAKER_STATES, effect.breaker, effect, f"{effect.breaker}#{effect.seq}")
            case Audit():
                yield Out(AUDIT, effect.actor, effect, effect.act_id)
            case _:
                yield Out(BREAKER_STATES, effect.breaker, None)
