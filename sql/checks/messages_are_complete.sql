-- Every trajectory has its n_messages messages, with turns 0, 1, 2, ... and none belongs to an unknown trajectory.
-- reads:   trajectories, messages
-- returns: one row a trajectory that breaks this; must be empty
-- Turns are each other's different if their hashes sum up to those of 0 to n - 1: no set of turns is kept in memory.
WITH found AS (
    SELECT
        trajectory_id, count(*) AS n, min(turn) AS first, max(turn) AS last, sum(hash(turn::BIGINT)::HUGEINT) AS turns
    FROM messages
    GROUP BY trajectory_id
),

numbered AS (
    SELECT unnest(range((SELECT max(n_messages) FROM trajectories)::BIGINT)) AS turn
),

expected AS (
    SELECT turn + 1 AS n, sum(hash(turn)::HUGEINT) OVER (ORDER BY turn) AS turns
    FROM numbered
)

SELECT trajectory_id, t.n_messages, f.n, f.first, f.last
FROM trajectories AS t
FULL JOIN found AS f USING (trajectory_id)
LEFT JOIN expected AS e ON e.n = f.n
WHERE t.n_messages IS DISTINCT FROM f.n OR f.first <> 0 OR f.last <> f.n - 1 OR f.turns IS DISTINCT FROM e.turns
