-- The tools that are declared, called, or both, and the schemas under which each is declared.
-- reads:   toolsets, calls
-- returns: one row a name: name, declared, n_calls, schemas (sorted list of MD5s of the normalised parameters); by name
WITH declared AS (
    SELECT name, list(DISTINCT md5(coalesce(parameters, '')) ORDER BY md5(coalesce(parameters, ''))) AS schemas
    FROM toolsets
    WHERE name IS NOT NULL
    GROUP BY name
),

called AS (
    SELECT tool_name AS name, count(*) AS n
    FROM calls
    WHERE tool_name IS NOT NULL
    GROUP BY tool_name
)

SELECT coalesce(d.name, c.name) AS name, d.name IS NOT NULL AS declared, coalesce(c.n, 0) AS n_calls, coalesce(d.schemas, []) AS schemas
FROM declared AS d
FULL JOIN called AS c ON c.name = d.name
ORDER BY 1
