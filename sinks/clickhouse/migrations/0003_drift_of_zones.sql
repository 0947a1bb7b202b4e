-- People counted at a zone's newest anchor beyond those who were there, and how far its sensors may be wrong since then.
-- Readings by points and cameras are means, so with k = 1 no whole numbers.
ALTER TABLE {database}.zones
    ADD COLUMN IF NOT EXISTS drift_low Nullable(Int64) AFTER coverage,
    ADD COLUMN IF NOT EXISTS drift_high Nullable(Int64) AFTER drift_low,
    ADD COLUMN IF NOT EXISTS error Nullable(Int64) AFTER drift_high,
    MODIFY COLUMN occupancy Nullable(Float64),
    MODIFY COLUMN occupancy_low Nullable(Float64),
    MODIFY COLUMN occupancy_high Nullable(Float64);
