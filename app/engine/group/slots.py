"""Several workers on one host: each takes the first free slot of the data directory (T5).

`<data>/<n>/lock` is held by flock; below the slot lie its stores, and the uuid that is its
identity in the group. A data directory is never shared between hosts.
"""

from __future__ import annotations

import fcntl
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import msgspec

SLOTS = 1_000
STORES = "stores"  # the directory below a slot that holds one store a task


class NoSlot(Exception):
    """Every slot is taken, or the directory cannot be written."""


class _Identity(msgspec.Struct, frozen=True):
    instance: str
    host: str
    path: str


@dataclass(frozen=True, slots=True)
class Slot:
    number: int
    directory: Path
    instance: str
    lock: int  # file descriptor: the slot is ours while it is open


def take(data: Path) -> Slot:
    """Raises NoSlot."""
    for number in range(SLOTS):
        directory = data / str(number)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise NoSlot(f"{directory}: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return Slot(number, directory, _instance(directory), lock)
    raise NoSlot(f"{data}: all {SLOTS} slots are taken")


def _instance(directory: Path) -> str:
    """Renewed in a copy: a directory that was moved to another host or path is another member. Raises NoSlot."""
    file, here = directory / "instance.json", (socket.gethostname(), str(directory.resolve()))
    found = _kept(file)
    if found is not None and (found.host, found.path) == here:
        return found.instance
    made = _Identity(str(uuid4()), *here)
    try:
        whole = file.with_suffix(".part")
        whole.write_bytes(msgspec.json.encode(made))
        whole.replace(file)
    except OSError as error:
        raise NoSlot(f"{file}: {error.strerror}") from error
    return made.instance


def _kept(file: Path) -> _Identity | None:
    """One that cannot be read is as good as none: whoever comes without it is another member."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Identity)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
