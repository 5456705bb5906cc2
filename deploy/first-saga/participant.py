"""Two services, hotel and airline, in one process. The numbers are the duties of docs/participants.md."""

import asyncio
import json
import os
import sqlite3
import sys
import time
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

KAFKA = os.environ.get("IOPT_KAFKA", "localhost:9092")
BOOKS = os.environ.get("BOOKS", "var/first-saga.sqlite")
FREE_SEATS = 4


def answer(books: sqlite3.Connection, command: dict[str, Any]) -> Any:
    """2: what is booked and the key it was booked under are written together; a key seen again changes nothing."""
    key, to = command["idempotency_key"], command["to"]
    final: dict[str, Any]
    with books:
        for (first,) in books.execute("SELECT answer FROM answers WHERE key = ?", (key,)):
            return json.loads(first)
        if command["action"] == "undo":  # 3: done even where nothing was; a `do` that comes after it is refused
            books.execute("DELETE FROM bookings WHERE key = ?", (command["undoes"],))
            undone = {"outcome": "refused", "error": {"code": "iopt.undone"}}
            books.execute("INSERT OR IGNORE INTO answers VALUES (?, ?)", (command["undoes"], json.dumps(undone)))
            final = {"outcome": "done", "data": None}
        elif time.time() * 1000 > command["deadline_at"] + 1_000:  # 4: too late to begin; not final, so not kept
            return {"outcome": "failed", "error": {"code": "iopt.expired"}}
        elif to == "airline" and command["data"]["seats"] > FREE_SEATS:
            final = {"outcome": "refused", "error": {"code": "no-seats"}}
        else:
            books.execute("INSERT INTO bookings VALUES (?, ?, ?)", (key, to, command["saga_id"]))
            final = {"outcome": "done", "data": {"booked": f"{to} for {command['saga_id']}"}}
        books.execute("INSERT INTO answers VALUES (?, ?)", (key, json.dumps(final)))
        return final


async def serve(books: sqlite3.Connection) -> None:
    """1: committed commands only, in order; the position is committed once the reply is acknowledged."""
    reading = {"isolation_level": "read_committed", "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    commands = AIOKafkaConsumer(
        "hotel.commands", "airline.commands", bootstrap_servers=KAFKA, group_id="tour", **reading
    )
    replies = AIOKafkaProducer(bootstrap_servers=KAFKA, acks="all", enable_idempotence=True)
    async with commands, replies:
        async for record in commands:
            command = json.loads(record.value)
            reply = {name: command[name] for name in ("command_id", "saga_id", "reply_token")} | answer(books, command)
            value, key = json.dumps(reply).encode(), command["saga_id"].encode()
            await replies.send_and_wait(command["reply_to"], value, key, headers=[("ce_type", b"iopt.saga.reply")])
            await commands.commit()
            sys.stderr.write(f"{reply['command_id']} {reply['outcome']}\n")


if __name__ == "__main__":
    connection = sqlite3.connect(BOOKS)
    connection.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT)")
    connection.execute("CREATE TABLE IF NOT EXISTS bookings (key TEXT PRIMARY KEY, service TEXT, saga TEXT)")
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(connection))
