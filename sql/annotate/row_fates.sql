-- What became of each record that holds rows of several groups: the highest state of its rows, and what belongs to it.
-- reads:   members (source, line, state: 0 skipped, 1 rejected, 2 merged, 3 source; reason, merged_into, raw), one row a row of such a record
-- returns: one row a record, by source and line; empty when there is none
SELECT
    source,
    line,
    max(state) AS state,
    first(reason ORDER BY state DESC, reason) AS reason,
    first(merged_into ORDER BY state DESC, merged_into) AS merged_into,
    first(raw ORDER BY state DESC, raw) AS raw
FROM members
GROUP BY source, line
ORDER BY source, line
