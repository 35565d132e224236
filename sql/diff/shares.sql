-- Shares that two datasets are compared by, each with what its interval needs: calls of one trajectory go together.
-- reads:   calls (trainable ones)
-- returns: one row a share: kind (error, category, tool, use), name, k, n, and over trajectories the sums kk, kn, nn of squares and products, and their number m; by kind, name
WITH per_trajectory AS (
    SELECT trajectory_id, count(*) AS n, count(*) FILTER (is_error) AS errors
    FROM calls
    WHERE trainable
    GROUP BY trajectory_id
),

total AS (
    SELECT coalesce(sum(n), 0) AS n, coalesce(sum(n * n), 0) AS nn, count(*) AS m FROM per_trajectory
),

by_category AS (
    SELECT trajectory_id, category AS name, count(*) AS k
    FROM calls
    WHERE trainable
    GROUP BY ALL
),

by_tool AS (
    SELECT trajectory_id, coalesce(tool_name, '(no name)') AS name, count(*) AS n, count(*) FILTER (is_error) AS k
    FROM calls
    WHERE trainable
    GROUP BY ALL
),

found AS (
    SELECT 'error' AS kind, 'any error' AS name, coalesce(sum(errors), 0) AS k, coalesce(sum(n), 0) AS n,
        coalesce(sum(errors * errors), 0) AS kk, coalesce(sum(errors * n), 0) AS kn, coalesce(sum(n * n), 0) AS nn, count(*) AS m
    FROM per_trajectory
    UNION ALL
    SELECT 'category', c.name, sum(c.k), any_value(total.n), sum(c.k * c.k), sum(c.k * p.n), any_value(total.nn), any_value(total.m)
    FROM by_category AS c
    JOIN per_trajectory AS p USING (trajectory_id)
    CROSS JOIN total
    GROUP BY c.name
    UNION ALL
    SELECT 'tool', name, sum(k), sum(n), sum(k * k), sum(k * n), sum(n * n), count(*)
    FROM by_tool
    GROUP BY name
    UNION ALL
    SELECT 'use', t.name, sum(t.n), any_value(total.n), sum(t.n * t.n), sum(t.n * p.n), any_value(total.nn), any_value(total.m)
    FROM by_tool AS t
    JOIN per_trajectory AS p USING (trajectory_id)
    CROSS JOIN total
    GROUP BY t.name
)

SELECT kind, name, k::BIGINT AS k, n::BIGINT AS n, kk::DOUBLE AS kk, kn::DOUBLE AS kn, nn::DOUBLE AS nn, m::BIGINT AS m
FROM found
ORDER BY kind, name
