"""Faust's conductor, which subscribes to what agents read, made to leave no topic out (T35).

Faust subscribes to what is there when its agents have started; to a topic that comes later after 45 s, or never when
the group was rebalancing. Ours are all known beforehand, and the assignor gives them out together.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from faust.transport.conductor import Conductor as FaustConductor
from mode import Service
from mode.utils.futures import notify

LOOK_S = 0.1


class Conductor(FaustConductor):
    @Service.task
    async def _subscriber(self) -> None:
        app = cast(Any, self.app)
        await app.agents.wait_until_agents_started()
        await app.tables.wait_until_tables_registered()
        while not self.should_stop:
            while not self.should_stop and (app.rebalancing or not self._complete(app.engine.assignment.topics)):
                await self.sleep(LOOK_S)
            changed = self._subscription_changed = asyncio.Event()
            await app.consumer.subscribe(await self._update_indices())
            notify(self._subscription_done)
            await changed.wait()

    def _complete(self, wanted: set[str]) -> bool:
        return wanted <= {name for topic in self._topics for name in topic.topics}
