-- Trajectories that stand for a whole record, and so may be a prefix copy or hold one: those that are no branch of a tree.
-- reads:   trajectories, labels (source, label)
-- returns: one row a trajectory: trajectory_id, source, source_line, source_id, toolset_id, query, n_messages, hash (BIGINT, low 64 bits of content_hash)
WITH hashed AS (
    SELECT *, ('0x' || right(content_hash, 16))::UBIGINT AS low
    FROM trajectories
)

SELECT
    t.trajectory_id, t.source, t.source_line, t.source_id, t.toolset_id, t.query, t.n_messages,
    if(low >= 9223372036854775808, (low::HUGEINT - 18446744073709551616)::BIGINT, low::BIGINT) AS hash
FROM hashed AS t
SEMI JOIN labels AS l ON l.source = t.source AND t.trajectory_id = l.label || ':' || t.source_line
