-- The state of consents of a run, a row a minute: what supervisors may see of it. Not a function of the log.
CREATE TABLE IF NOT EXISTS {database}.consent_states
(
    run_id LowCardinality(String),
    minute DateTime64(3, 'UTC'),
    at_ms Int64,
    lag_ms Nullable(Int64),
    held Bool,
    faults Array(String),
    subjects Map(String, Int64),
    terms Map(String, Array(String))
)
ENGINE = ReplacingMergeTree(at_ms)
PARTITION BY run_id
ORDER BY (run_id, minute);
