-- Tables of the products, the runs and the registries. {database} is replaced by the quoted name of the database.
--
-- Every table of rows is partitioned by run: dropping a run drops its partitions (at once, and with them the
-- tokens of its inserts, so that a run of the same name can be stored again). An insert holds rows of one run, so it
-- is one block in one partition: whole, or not there.
-- Sorted by (run_id, key): a repeated row replaces itself; readers use FINAL.
-- non_replicated_deduplication_window is off by default; without it the tokens of inserts would mean nothing.

CREATE TABLE IF NOT EXISTS {database}.runs_of_flow
(
    run_id LowCardinality(String),
    gate LowCardinality(String),
    direction LowCardinality(String),
    run_start DateTime64(3, 'UTC'),
    run_end DateTime64(3, 'UTC'),
    n Nullable(Int64),
    registry_version LowCardinality(String),
    revision UInt8 DEFAULT 0,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY run_id
ORDER BY (run_id, gate, direction, run_start)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS {database}.flow
(
    run_id LowCardinality(String),
    window LowCardinality(String),
    window_start DateTime64(3, 'UTC'),
    gate LowCardinality(String),
    direction LowCardinality(String),
    n Nullable(Int64),
    n_low Nullable(Int64),
    n_high Nullable(Int64),
    status LowCardinality(String),
    coverage Nullable(Float64),
    registry_version LowCardinality(String),
    revision UInt8 DEFAULT 0,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY run_id
ORDER BY (run_id, window, window_start, gate, direction)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS {database}.zones
(
    run_id LowCardinality(String),
    window LowCardinality(String),
    window_start DateTime64(3, 'UTC'),
    zone LowCardinality(String),
    inflow Nullable(Int64),
    inflow_low Nullable(Int64),
    inflow_high Nullable(Int64),
    outflow Nullable(Int64),
    outflow_low Nullable(Int64),
    outflow_high Nullable(Int64),
    occupancy Nullable(Int64),
    occupancy_low Nullable(Int64),
    occupancy_high Nullable(Int64),
    density Nullable(Float64),
    speed Nullable(Float64),
    los_scheme LowCardinality(String),
    los LowCardinality(String),
    status LowCardinality(String),
    coverage Nullable(Float64),
    registry_version LowCardinality(String),
    revision UInt8 DEFAULT 0,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY run_id
ORDER BY (run_id, window, window_start, zone)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS {database}.rejects
(
    run_id LowCardinality(String),
    hour DateTime64(3, 'UTC'),
    sensor LowCardinality(String),
    reason LowCardinality(String),
    n Nullable(Int64),
    registry_version LowCardinality(String),
    revision UInt8 DEFAULT 0,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY run_id
ORDER BY (run_id, hour, sensor, reason)
SETTINGS non_replicated_deduplication_window = 10000;

-- Times of a run are milliseconds, because they can also be "none" and "all" (engine/model.py NO_TIME, END).
CREATE TABLE IF NOT EXISTS {database}.runs
(
    run_id LowCardinality(String),
    kind LowCardinality(String),
    config String,
    config_hash String,
    registry_version String,
    registry_hash String,
    code_version String,
    timezone String,
    leaves Map(String, String),
    gate_delay_ms Int64,
    first_ms Nullable(Int64),
    last_ms Nullable(Int64),
    closed_ms Int64,
    read Int64,
    accepted Int64,
    rejected Map(String, Int64),
    state LowCardinality(String),
    started_ms Int64,
    updated_ms Int64
)
ENGINE = ReplacingMergeTree(updated_ms)
PARTITION BY run_id
ORDER BY run_id;

CREATE TABLE IF NOT EXISTS {database}.registries
(
    version String,
    hash String,
    text String,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (version, hash);
