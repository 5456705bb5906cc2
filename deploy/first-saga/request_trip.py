"""Sends the event that starts a trip, as a travel site would: request_trip.py t-1 2"""

import asyncio
import json
import os
import sys

from aiokafka import AIOKafkaProducer

KAFKA = os.environ.get("IOPT_KAFKA", "localhost:9092")


async def request(trip: str, seats: int) -> None:
    event = json.dumps({"tripId": trip, "seats": seats}).encode()
    async with AIOKafkaProducer(bootstrap_servers=KAFKA) as events:
        await events.send_and_wait("trips", event, trip.encode(), headers=[("ce_type", b"trip.requested")])


if __name__ == "__main__":
    asyncio.run(request(sys.argv[1], int(sys.argv[2])))
