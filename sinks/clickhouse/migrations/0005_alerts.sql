-- Alerts: a row for each change, so two for an alert that has ended; and what operators do with them.

CREATE TABLE IF NOT EXISTS {database}.alerts
(
    run_id LowCardinality(String),
    id String,
    changed DateTime64(3, 'UTC'),
    state LowCardinality(String),
    reason LowCardinality(String),
    began DateTime64(3, 'UTC'),
    rule LowCardinality(String),
    kind LowCardinality(String),
    severity LowCardinality(String),
    zone LowCardinality(String),
    gate LowCardinality(String),
    of_window LowCardinality(String),
    value Nullable(Float64),
    threshold Nullable(Float64),
    registry_version LowCardinality(String),
    revision UInt8 DEFAULT 0,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY run_id
ORDER BY (run_id, id, changed)
SETTINGS non_replicated_deduplication_window = 10000;

-- Not a function of the log, so not a product: appended by people, never changed. at and until are the wall clock.
CREATE TABLE IF NOT EXISTS {database}.alert_actions
(
    run_id LowCardinality(String),
    alert String,
    at DateTime64(3, 'UTC'),
    action LowCardinality(String),
    by String,
    owner String,
    reason String,
    until Nullable(DateTime64(3, 'UTC'))
)
ENGINE = MergeTree
PARTITION BY run_id
ORDER BY (run_id, alert, at)
SETTINGS non_replicated_deduplication_window = 10000;
