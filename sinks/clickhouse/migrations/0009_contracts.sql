-- Contracts with companies: every version of every record, appended, never changed (engine/contract.py reads a record).
CREATE TABLE IF NOT EXISTS {database}.contracts
(
    id String,
    version UInt32,
    record String,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (id, version)
SETTINGS non_replicated_deduplication_window = 10000;

-- Every read by a company, refused or not: a chain, each row with the hash of the one before (sinks/clickhouse/reads.py).
CREATE TABLE IF NOT EXISTS {database}.reads
(
    seq UInt64,
    at DateTime64(3, 'UTC'),
    contract String,
    company String,
    purpose String,
    product String,
    run String,
    window String,
    `from` Nullable(DateTime64(3, 'UTC')),
    `to` Nullable(DateTime64(3, 'UTC')),
    rows UInt64,
    outcome String,
    reason String,
    nonce String,
    prev String,
    hash String
)
ENGINE = MergeTree
ORDER BY seq
SETTINGS non_replicated_deduplication_window = 10000;
