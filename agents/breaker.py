"""call-outcomes -> fleet.decide -> breakers -> breaker-transitions, breaker-states"""

from collections.abc import Iterable, Iterator

from app.domain import fleet as domain
from app.domain.breaker import Policy
from app.domain.calls import CallOutcome
from app.domain.fleet import Fleet
from app.engine.processor import Change, Due, Out, Reading, Record, processor
from app.wire.topics import BREAKER_STATES, BREAKER_TRANSITIONS, CALL_OUTCOMES
from tables.breaker import breakers, policies


@processor(CALL_OUTCOMES, keeps=breakers, reads=(policies,), row="breaker", timers=True)
def judge_calls(
    fleet: Fleet | None, value: CallOutcome | Due, record: Record, policies: Reading[Policy]
) -> Change[Fleet]:
    policy = policies[record.key]
    if isinstance(value, Due):
        fleet, changes = domain.expire(fleet, record.key, record.now_ms, policy)
    else:
        fleet, changes = domain.decide(fleet, value, record.at_ms, policy)
    return fleet, announce(changes)


def announce(changes: Iterable[domain.Change]) -> Iterator[Out]:
    for transition, state in changes:
        change_id = f"{state.breaker}#{state.seq}"
        yield Out(BREAKER_TRANSITIONS, transition.breaker, transition, change_id)
        yield Out(BREAKER_STATES, state.breaker, state, change_id)
