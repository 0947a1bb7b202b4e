-- Registry versions that a run met in its log, after the one it began with: their hashes, in order.
ALTER TABLE {database}.runs ADD COLUMN IF NOT EXISTS versions Array(String);
