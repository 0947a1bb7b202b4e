-- Tables of distinct people: touches and moves of signage, attributes and trips of those who consented.
CREATE TABLE IF NOT EXISTS {database}.touches
(
    run_id LowCardinality(String),
    window LowCardinality(String),
    window_start DateTime64(3, 'UTC'),
    device LowCardinality(String),
    screen LowCardinality(String),
    lang LowCardinality(String),
    n Nullable(Int64),
    n_low Nullable(Int64),
    n_high Nullable(Int64),
    status LowCardinality(String),
    registry_version LowCardinality(String),
    revision UInt8 DEFAULT 0,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY run_id
ORDER BY (run_id, window, window_start, device, screen, lang)
SETTINGS non_replicated_deduplication_window = 10000;
CREATE TABLE IF NOT EXISTS {database}.screens
(
    run_id LowCardinality(String),
    window LowCardinality(String),
    window_start DateTime64(3, 'UTC'),
    device LowCardinality(String),
    `from` LowCardinality(String),
    `to` LowCardinality(String),
    n Nullable(Int64),
    n_low Nullable(Int64),
    n_high Nullable(Int64),
    status LowCardinality(String),
    registry_version LowCardinality(String),
    revision UInt8 DEFAULT 0,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY run_id
ORDER BY (run_id, window, window_start, device, `from`, `to`)
SETTINGS non_replicated_deduplication_window = 10000;
CREATE TABLE IF NOT EXISTS {database}.profiles
(
    run_id LowCardinality(String),
    window LowCardinality(String),
    window_start DateTime64(3, 'UTC'),
    `table` LowCardinality(String),
    row LowCardinality(String),
    col LowCardinality(String),
    n Nullable(Int64),
    n_low Nullable(Int64),
    n_high Nullable(Int64),
    status LowCardinality(String),
    registry_version LowCardinality(String),
    revision UInt8 DEFAULT 0,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY run_id
ORDER BY (run_id, window, window_start, `table`, row, col)
SETTINGS non_replicated_deduplication_window = 10000;
CREATE TABLE IF NOT EXISTS {database}.trips
(
    run_id LowCardinality(String),
    window LowCardinality(String),
    window_start DateTime64(3, 'UTC'),
    `from` LowCardinality(String),
    `to` LowCardinality(String),
    n Nullable(Int64),
    n_low Nullable(Int64),
    n_high Nullable(Int64),
    status LowCardinality(String),
    registry_version LowCardinality(String),
    revision UInt8 DEFAULT 0,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY run_id
ORDER BY (run_id, window, window_start, `from`, `to`)
SETTINGS non_replicated_deduplication_window = 10000;
