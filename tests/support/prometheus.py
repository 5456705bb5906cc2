"""A real Prometheus: found, or installed where that is allowed, and run on a port of its own."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession

from deploy.kafka.ports import free

CONFIG = Path("deploy/prometheus/prometheus.yml")
MISSING = (
    "no `prometheus` on PATH: install Debian's package `prometheus`, or set PROMETHEUS=off to leave this group out"
)


class Prometheus:
    def __init__(self, url: str, client: ClientSession) -> None:
        self.url, self._client = url, client

    async def query(self, expr: str) -> list[float]:
        """One value a series; NaN, which is what a rate over nothing gives, is left out."""
        found = await self._get("/api/v1/query", query=expr)
        values = [float(series["value"][1]) for series in found["data"]["result"]]
        return [value for value in values if not math.isnan(value)]

    async def targets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._get("/api/v1/targets"))["data"]["activeTargets"]
        return found

    async def until_ready(self) -> None:
        for _ in range(600):
            if await self._answers():
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{self.url} did not become ready")

    async def _answers(self) -> bool:
        try:
            async with self._client.get(f"{self.url}/-/ready") as response:
                return response.status == 200
        except ClientError:
            return False

    async def _get(self, path: str, **params: str) -> Any:
        async with self._client.get(self.url + path, params=params) as response:
            response.raise_for_status()
            return await response.json()


def program(name: str) -> str:
    """Raises AssertionError naming the package where it is missing and cannot be installed."""
    if shutil.which(name) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install()
    path = shutil.which(name)
    assert path is not None, MISSING
    return path


def _install() -> None:
    install = ["apt-get", "install", "-y", "--no-install-recommends", "prometheus"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if subprocess.run(install, env=environment, capture_output=True, check=False).returncode != 0:
        subprocess.run(["apt-get", "update"], env=environment, capture_output=True, check=False)
        subprocess.run(install, env=environment, capture_output=True, check=False)


@asynccontextmanager
async def prometheus(directory: Path, target: str) -> AsyncIterator[Prometheus]:
    """With the repository's own configuration, but for the target and a shorter interval."""
    [port] = free(1)
    process = _start(directory, target, port)
    try:
        async with ClientSession() as client:
            found = Prometheus(f"http://127.0.0.1:{port}", client)
            await found.until_ready()
            yield found
    finally:
        process.kill()
        process.wait()


def _start(directory: Path, target: str, port: int) -> subprocess.Popen[bytes]:
    config = directory / "prometheus.yml"
    config.write_text(CONFIG.read_text().replace("127.0.0.1:8104", target).replace("5s", "200ms"))
    arguments = [
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (directory / "prometheus.log").open("wb") as log:
        return subprocess.Popen([program("prometheus"), *arguments], stdout=log, stderr=log)
