"""What a block of code holds until it is left, also in another thread or context than the one that entered it."""

from __future__ import annotations

from contextvars import ContextVar
from types import FrameType, TracebackType
from typing import Any, Generic, TypeVar

from .breaker_steps import Steps
from .retry import Ended

H = TypeVar("H")


class Held:
    """A breaker's permit, for one `with` or `async with`. It is of the state that gave it, whatever came since."""

    __slots__ = ("_began_ns", "_notes", "_seq", "_steps")

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def __enter__(self) -> None:
        """Raises CallNotPermitted."""
        steps = self._steps
        notes = self._notes = steps.notes
        self._seq = steps.acquire(None) if notes is None else notes.seq
        self._began_ns = steps.clock.now_ns()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        steps, notes = self._steps, self._notes
        if error is not None and not isinstance(error, Exception):
            steps.given_up(self._seq)
            return
        ended_ns = steps.clock.now_ns()
        took_ns = ended_ns - self._began_ns
        if error is not None or notes is None or took_ns > notes.limit_ns or ended_ns > notes.until_ns:
            steps.judged(Ended(error=error), took_ns, self._seq, None)
            return
        notes.append((self._began_ns, ended_ns, None))
        if notes is not steps.notes or len(notes) >= notes.most:
            steps.settle(notes)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, at)


class Block(Generic[H]):
    __slots__ = ("blocks", "frame", "held")

    def __init__(self, blocks: Blocks[H], frame: FrameType, held: H) -> None:
        self.blocks, self.held = blocks, held
        self.frame: FrameType | None = frame  # None: it has been left


class Blocks(Generic[H]):
    """What all blocks of one object hold that many share: `with breaker:` has no name for its own permit.

    Who leaves a block is the frame that entered it. Neither the thread nor the context would say so: web frameworks
    resume a generator in a thread of a pool, in a context that was copied before it began. Where frames differ
    (ExitStack), it is the newest block of this context, else of all.
    """

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[Block[H], None] = {}  # oldest first

    def enter(self, frame: FrameType, held: H) -> None:
        block = Block(self, frame, held)
        self._open[block] = None
        _here.set((*(outer for outer in _here.get() if outer.frame), block))

    def leave(self, frame: FrameType) -> H:
        """RuntimeError where none is open."""
        block = self._found(frame)
        while self._open.pop(block, self) is self:  # another thread has taken it
            block = self._found(frame)
        block.frame = None
        _here.set(tuple(outer for outer in _here.get() if outer.frame))
        return block.held

    def _found(self, frame: FrameType) -> Block[H]:
        here: list[Block[H]] = [block for block in reversed(_here.get()) if block.blocks is self and block.frame]
        for block in here:
            if block.frame is frame:
                return block
        everywhere = list(self._open)[::-1]
        for block in everywhere:
            if block.frame is frame:
                return block
        if not here and not everywhere:
            raise RuntimeError("a block is left that was not entered")
        return (here or everywhere)[0]


_here: ContextVar[tuple[Block[Any], ...]] = ContextVar("iopt_client_blocks", default=())
