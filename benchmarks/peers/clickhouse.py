"""ClickHouse's Kafka engine: a materialized view counts what it reads into a SummingMergeTree, in the server."""

from __future__ import annotations

import time
import uuid

from benchmarks.peers.compare import Semantics, compared
from benchmarks.peers.measure import PATIENCE_S, Cost, Failed
from benchmarks.peers.peer import Filled, Peer, Place, Served, Turn
from benchmarks.peers.topic import Truth
from benchmarks.services import cpu_s
from tests.realservices.clickhouse import VERSION

_LOOK_S = 0.1
_DATABASE = "peers_engine"
_TABLES = (
    "CREATE TABLE {d}.counts (start Int64, gate LowCardinality(String), dir LowCardinality(String), n UInt64)"
    " ENGINE = SummingMergeTree ORDER BY (start, gate, dir)",
    "CREATE TABLE {d}.events (sensor String, ts Int64, type String, dir String, seq Int64) ENGINE = Kafka SETTINGS"
    " kafka_broker_list = '{bootstrap}', kafka_topic_list = '{topic}', kafka_group_name = '{group}',"
    " kafka_format = 'JSONEachRow', kafka_num_consumers = 2, kafka_thread_per_consumer = 1,"
    " kafka_flush_interval_ms = 1000, kafka_max_block_size = 1048576, kafka_poll_max_batch_size = 65536,"
    " kafka_handle_error_mode = 'stream'",
)
_VIEW = (
    "CREATE MATERIALIZED VIEW {d}.view TO {d}.counts AS SELECT intDiv(ts, 10000) * 10000 AS start,"
    " substring(sensor, 1, 3) AS gate, dir, count() AS n FROM {d}.events"
    " WHERE _error = '' AND type = 'cross' AND sensor != '' AND ts > 0 GROUP BY start, gate, dir"
)


class KafkaEngine(Peer):
    """Two consumers, each with its thread. What is measured lies between the view's creation and its last row."""

    name = "clickhouse"
    share = 8
    needs_clickhouse = True
    about = f"ClickHouse {VERSION}, Kafka engine with two consumers"
    semantics = Semantics(
        late="counted", duplicates="counted", unknown="counted", bad="dropped", rows_go="into ClickHouse, at least once"
    )

    def turn(self, place: Place, topic: Filled, closing: Filled) -> Turn:
        """See Peer."""
        before = place.served()
        start, _ = self._read(place, closing)
        between = place.served()
        whole, rows = self._read(place, topic)
        kafka_s = ((place.served() - between) - (between - before)).kafka_s
        return Turn(whole, start, Served(kafka_s, 0.0), compared(rows, topic.truth, self.semantics))

    def _read(self, place: Place, topic: Filled) -> tuple[Cost, dict[tuple[int, str, str], int]]:
        query, wanted = place.server.query, counted(topic.truth)
        words = {"d": _DATABASE, "bootstrap": place.kafka.bootstrap, "topic": topic.name, "group": str(uuid.uuid4())}
        query(f"CREATE DATABASE {_DATABASE}")
        for table in _TABLES:
            query(table.format(**words))
        used, begun = cpu_s(place.server.pid), time.monotonic()
        query(_VIEW.format(**words))
        seen = 0
        while seen < wanted:
            if time.monotonic() - begun > PATIENCE_S:
                raise Failed(f"ClickHouse has counted {seen} of {wanted} events")
            time.sleep(_LOOK_S)
            seen = int(query(f"SELECT sum(n) FROM {_DATABASE}.counts"))
        cost = Cost(time.monotonic() - begun, cpu_s(place.server.pid) - used)
        text = query(f"SELECT start, gate, dir, sum(n) FROM {_DATABASE}.counts GROUP BY ALL FORMAT TabSeparated")
        query(f"DROP DATABASE {_DATABASE} SYNC")
        rows = (line.split("\t") for line in text.splitlines())
        return cost, {(int(start), gate, direction): int(n) for start, gate, direction, n in rows}


def counted(truth: Truth) -> int:
    """Events that a peer counts which looks at one message at a time."""
    return int(truth.counts.sum() + truth.twice.sum() + truth.late.sum()) + truth.bad["unknown_sensor"]
