-- Health of sensors: a row for each change, and the first time that a sensor was known to be ok.
CREATE TABLE IF NOT EXISTS {database}.health
(
    run_id LowCardinality(String),
    window LowCardinality(String),
    window_start DateTime64(3, 'UTC'),
    sensor LowCardinality(String),
    state LowCardinality(String),
    since DateTime64(3, 'UTC'),
    registry_version LowCardinality(String),
    revision UInt8 DEFAULT 0,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY run_id
ORDER BY (run_id, window, window_start, sensor)
SETTINGS non_replicated_deduplication_window = 10000;
