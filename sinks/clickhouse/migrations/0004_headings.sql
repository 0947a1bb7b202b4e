-- Which way people went through zones: 8 rows per zone and window, mean heading and its strength the same in all of them.
CREATE TABLE IF NOT EXISTS {database}.headings
(
    run_id LowCardinality(String),
    window LowCardinality(String),
    window_start DateTime64(3, 'UTC'),
    zone LowCardinality(String),
    sector UInt8,
    n Nullable(Int64),
    n_low Nullable(Int64),
    n_high Nullable(Int64),
    status LowCardinality(String),
    mean_heading Nullable(Float64),
    resultant_length Nullable(Float64),
    registry_version LowCardinality(String),
    revision UInt8 DEFAULT 0,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY run_id
ORDER BY (run_id, window, window_start, zone, sector)
SETTINGS non_replicated_deduplication_window = 10000;
