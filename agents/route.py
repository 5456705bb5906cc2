"""domain events -> route.starts -> saga-inbox"""

from collections.abc import Iterator

from app.domain.sagas.messages import DomainEvent
from app.domain.sagas.route import Place, Routes, starts
from app.engine.processor import Out, Reading, Record, processor
from app.wire.topics import DOMAIN_EVENTS, SAGA_INBOX
from tables.route import routes


@processor(DOMAIN_EVENTS, reads=(routes,), row="route")
def start_sagas(event: DomainEvent, record: Record, routes: Reading[Routes]) -> Iterator[Out]:
    place = Place(record.topic, record.partition, record.offset, record.key, record.at_ms)
    for start in starts(event, place, routes[record.topic], record.now_ms):
        yield Out(SAGA_INBOX, start.saga_id, start)
