-- Records that are a proper beginning of another one: same tools, same first messages, fewer of them.
-- reads:   prefixes (trajectory_id, source, source_line, source_id, whole, beginnings)
-- returns: one row a prefix copy, with the longest trajectory that holds it (the first such in id order) and its own hash; empty when there is none
WITH held AS (
    SELECT whole AS hash FROM prefixes
),

beginnings AS (
    SELECT trajectory_id AS holder, len(beginnings) AS length, unnest(beginnings) AS hash
    FROM prefixes
),

longest AS (
    SELECT hash, min_by(holder, (-length, holder)) AS merged_into
    FROM beginnings SEMI JOIN held USING (hash)
    GROUP BY hash
)

SELECT p.source, p.source_line, p.source_id, p.trajectory_id, l.merged_into, p.whole AS hash
FROM prefixes AS p
JOIN longest AS l ON l.hash = p.whole
ORDER BY p.source, p.source_line, p.trajectory_id
