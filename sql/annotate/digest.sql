-- One digest over the content of a dataset and every verdict in it, independent of the order of rows.
-- reads:   trajectories, calls
-- returns: one row: digest, 32 hexadecimal digits (the sum of one MD5 a trajectory and one a call, modulo 2^128)
WITH hashed AS (
    SELECT md5_number(concat_ws('|', 'trajectory', trajectory_id, content_hash, toolset_id, metadata)) AS number
    FROM trajectories
    UNION ALL
    SELECT md5_number(concat_ws('|', 'call', trajectory_id, turn, call_index, category, trainable))
    FROM calls
),

summed AS (
    SELECT
        coalesce(sum((number & 18446744073709551615)::HUGEINT), 0) AS low,
        coalesce(sum((number >> 64)::HUGEINT), 0) AS high
    FROM hashed
)

SELECT printf('%016x%016x', (high % 18446744073709551616)::UBIGINT, (low % 18446744073709551616)::UBIGINT) AS digest
FROM summed
