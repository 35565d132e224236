-- Trajectories that could hold another record as a proper beginning: it has the same tools, the same query or none, and fewer messages.
-- reads:   eligible (trajectory_id, toolset_id, query, n_messages), merged
-- needs:   records merged before (merged.hash) are as long as they may be: their holder's whole group counts
-- returns: one row a trajectory: trajectory_id, toolset_id; empty when no two trajectories have a beginning in common
WITH shortest AS (
    SELECT toolset_id, query, min(n_messages) AS n
    FROM eligible
    GROUP BY toolset_id, query
),

without_query AS (
    SELECT toolset_id, n FROM shortest WHERE query IS NULL
),

holding AS (
    SELECT DISTINCT e.toolset_id, e.query
    FROM merged AS m
    JOIN eligible AS e ON e.trajectory_id = m.merged_into
    WHERE m.hash IS NOT NULL
)

SELECT e.trajectory_id, e.toolset_id
FROM eligible AS e
JOIN shortest AS s ON s.toolset_id IS NOT DISTINCT FROM e.toolset_id AND s.query IS NOT DISTINCT FROM e.query
LEFT JOIN without_query AS w ON w.toolset_id IS NOT DISTINCT FROM e.toolset_id
LEFT JOIN holding AS h ON h.toolset_id IS NOT DISTINCT FROM e.toolset_id AND h.query IS NOT DISTINCT FROM e.query
WHERE e.n_messages > least(s.n, coalesce(w.n, s.n)) OR h.toolset_id IS NOT NULL OR h.query IS NOT NULL
