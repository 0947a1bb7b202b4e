"""Jars from Maven Central, by jgo: those of some artifacts and of all they need."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.realservices.cache import ServiceError, trust_the_system


def fetch(target: Path, coordinates: str, least: int) -> None:
    """Put the jars of ``coordinates`` (group:artifact:version, joined by +) into ``target``.

    Raises ServiceError for fewer whole jars than ``least``: a broken download shows here, not as a missing class.
    """
    from jgo.env import EnvironmentBuilder, LinkStrategy
    from jgo.maven import MavenContext

    trust_the_system()
    work = target / "maven"
    context = MavenContext(repo_cache=work / "repository", timeout=60)
    builder = EnvironmentBuilder(context=context, cache_dir=work / "environments", link_strategy=LinkStrategy.COPY)
    environment = builder.from_endpoint(coordinates)
    found = sorted(Path(environment.path).rglob("*.jar"))  # its classpath lists only two of them
    if len(found) < least or any(jar.stat().st_size == 0 for jar in found):
        raise ServiceError(f"only {len(found)} whole jars of at least {least}")
    for jar in found:
        shutil.copyfile(jar, target / jar.name)
    shutil.rmtree(work, ignore_errors=True)
