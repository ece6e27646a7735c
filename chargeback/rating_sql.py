"""`chargeback.rating_expressions` in DuckDB's SQL; written by that module, never by hand.

Kept as text because compiling it takes 0.9 s of every start (tests/bench/bench_rating.py).
"""

SEEN = """
SELECT DISTINCT
  "t0"."tier",
  "t0"."metric"
FROM "usage_interval" AS "t0"
"""

SUMS_BY_TENANT = """
SELECT
  "t5"."segment",
  "t5"."tenant",
  "t5"."cost_centre",
  SUM(CAST("t5"."quantity" AS DECIMAL(38, 0)) * CAST("t5"."seconds" AS DECIMAL(38, 0))) AS "quantity_seconds",
  SUM(CASE WHEN "t5"."quantity" < 0 THEN -(
    "t5"."seconds"
  ) ELSE "t5"."seconds" END) AS "seconds"
FROM (
  SELECT
    "t4"."machine",
    "t4"."tenant",
    "t4"."cost_centre",
    "t4"."tier",
    "t4"."pool",
    "t4"."metric",
    "t4"."quantity",
    "t4"."power",
    "t4"."t_from",
    "t4"."t_to",
    "t4"."recorded_at",
    "t4"."source",
    "t4"."sequence",
    "t4"."labels",
    "t4"."segment",
    "t4"."segment_tier",
    "t4"."segment_metric",
    "t4"."when_off",
    "t4"."segment_t_from",
    "t4"."segment_t_to",
    "t4"."known_at",
    LEAST("t4"."t_to", "t4"."segment_t_to") - GREATEST("t4"."t_from", "t4"."segment_t_from") AS "seconds"
  FROM (
    SELECT
      "t2"."machine",
      "t2"."tenant",
      "t2"."cost_centre",
      "t2"."tier",
      "t2"."pool",
      "t2"."metric",
      "t2"."quantity",
      "t2"."power",
      "t2"."t_from",
      "t2"."t_to",
      "t2"."recorded_at",
      "t2"."source",
      "t2"."sequence",
      "t2"."labels",
      "t3"."segment",
      "t3"."tier" AS "segment_tier",
      "t3"."metric" AS "segment_metric",
      "t3"."when_off",
      "t3"."t_from" AS "segment_t_from",
      "t3"."t_to" AS "segment_t_to",
      "t3"."known_at"
    FROM "usage_interval" AS "t2"
    INNER JOIN "rate_segment" AS "t3"
      ON "t2"."tier" = "t3"."tier"
      AND "t2"."metric" = "t3"."metric"
      AND "t2"."recorded_at" <= "t3"."known_at"
      AND "t2"."t_from" < "t3"."t_to"
      AND "t2"."t_to" > "t3"."t_from"
      AND (
        "t3"."when_off" OR (
          "t2"."power" = 'on'
        )
      )
  ) AS "t4"
) AS "t5"
GROUP BY
  1,
  2,
  3
"""

SUMS_BY_MACHINE = """
SELECT
  "t5"."segment",
  "t5"."tenant",
  "t5"."cost_centre",
  "t5"."machine",
  "t5"."pool",
  "t5"."labels",
  SUM(CAST("t5"."quantity" AS DECIMAL(38, 0)) * CAST("t5"."seconds" AS DECIMAL(38, 0))) AS "quantity_seconds",
  SUM(CASE WHEN "t5"."quantity" < 0 THEN -(
    "t5"."seconds"
  ) ELSE "t5"."seconds" END) AS "seconds"
FROM (
  SELECT
    "t4"."machine",
    "t4"."tenant",
    "t4"."cost_centre",
    "t4"."tier",
    "t4"."pool",
    "t4"."metric",
    "t4"."quantity",
    "t4"."power",
    "t4"."t_from",
    "t4"."t_to",
    "t4"."recorded_at",
    "t4"."source",
    "t4"."sequence",
    "t4"."labels",
    "t4"."segment",
    "t4"."segment_tier",
    "t4"."segment_metric",
    "t4"."when_off",
    "t4"."segment_t_from",
    "t4"."segment_t_to",
    "t4"."known_at",
    LEAST("t4"."t_to", "t4"."segment_t_to") - GREATEST("t4"."t_from", "t4"."segment_t_from") AS "seconds"
  FROM (
    SELECT
      "t2"."machine",
      "t2"."tenant",
      "t2"."cost_centre",
      "t2"."tier",
      "t2"."pool",
      "t2"."metric",
      "t2"."quantity",
      "t2"."power",
      "t2"."t_from",
      "t2"."t_to",
      "t2"."recorded_at",
      "t2"."source",
      "t2"."sequence",
      "t2"."labels",
      "t3"."segment",
      "t3"."tier" AS "segment_tier",
      "t3"."metric" AS "segment_metric",
      "t3"."when_off",
      "t3"."t_from" AS "segment_t_from",
      "t3"."t_to" AS "segment_t_to",
      "t3"."known_at"
    FROM "usage_interval" AS "t2"
    INNER JOIN "rate_segment" AS "t3"
      ON "t2"."tier" = "t3"."tier"
      AND "t2"."metric" = "t3"."metric"
      AND "t2"."recorded_at" <= "t3"."known_at"
      AND "t2"."t_from" < "t3"."t_to"
      AND "t2"."t_to" > "t3"."t_from"
      AND (
        "t3"."when_off" OR (
          "t2"."power" = 'on'
        )
      )
  ) AS "t4"
) AS "t5"
GROUP BY
  1,
  2,
  3,
  4,
  5,
  6
"""

SUMS_BY_LEVEL = """
SELECT
  "t5"."segment",
  "t5"."tenant",
  "t5"."cost_centre",
  "t5"."machine",
  "t5"."pool",
  "t5"."labels",
  "t5"."power",
  "t5"."level",
  SUM(CASE WHEN "t5"."quantity" < 0 THEN -(
    "t5"."seconds"
  ) ELSE "t5"."seconds" END) AS "seconds"
FROM (
  SELECT
    "t4"."machine",
    "t4"."tenant",
    "t4"."cost_centre",
    "t4"."tier",
    "t4"."pool",
    "t4"."metric",
    "t4"."quantity",
    "t4"."power",
    "t4"."t_from",
    "t4"."t_to",
    "t4"."recorded_at",
    "t4"."source",
    "t4"."sequence",
    "t4"."labels",
    "t4"."segment",
    "t4"."segment_tier",
    "t4"."segment_metric",
    "t4"."when_off",
    "t4"."segment_t_from",
    "t4"."segment_t_to",
    "t4"."known_at",
    LEAST("t4"."t_to", "t4"."segment_t_to") - GREATEST("t4"."t_from", "t4"."segment_t_from") AS "seconds",
    ABS("t4"."quantity") AS "level"
  FROM (
    SELECT
      "t2"."machine",
      "t2"."tenant",
      "t2"."cost_centre",
      "t2"."tier",
      "t2"."pool",
      "t2"."metric",
      "t2"."quantity",
      "t2"."power",
      "t2"."t_from",
      "t2"."t_to",
      "t2"."recorded_at",
      "t2"."source",
      "t2"."sequence",
      "t2"."labels",
      "t3"."segment",
      "t3"."tier" AS "segment_tier",
      "t3"."metric" AS "segment_metric",
      "t3"."when_off",
      "t3"."t_from" AS "segment_t_from",
      "t3"."t_to" AS "segment_t_to",
      "t3"."known_at"
    FROM "usage_interval" AS "t2"
    INNER JOIN "rate_segment" AS "t3"
      ON "t2"."tier" = "t3"."tier"
      AND "t2"."metric" = "t3"."metric"
      AND "t2"."recorded_at" <= "t3"."known_at"
      AND "t2"."t_from" < "t3"."t_to"
      AND "t2"."t_to" > "t3"."t_from"
      AND (
        "t3"."when_off" OR (
          "t2"."power" = 'on'
        )
      )
  ) AS "t4"
) AS "t5"
GROUP BY
  1,
  2,
  3,
  4,
  5,
  6,
  7,
  8
"""

BIRTHS = """
WITH "t4" AS (
  SELECT
    "t2"."machine",
    "t2"."tenant",
    "t2"."cost_centre",
    "t2"."tier",
    "t2"."pool",
    "t2"."metric",
    "t2"."quantity",
    "t2"."power",
    "t2"."t_from",
    "t2"."t_to",
    "t2"."recorded_at",
    "t2"."source",
    "t2"."sequence",
    "t2"."labels",
    "t3"."known_at"
  FROM "usage_interval" AS "t2"
  INNER JOIN "knowledge" AS "t3"
    ON "t2"."recorded_at" <= "t3"."known_at"
), "t8" AS (
  SELECT
    *
  FROM (
    SELECT
      "t5"."machine",
      "t5"."tenant",
      "t5"."cost_centre",
      "t5"."tier",
      "t5"."pool",
      "t5"."labels",
      "t5"."t_from" AS "at",
      "t5"."quantity" AS "change"
    FROM "t4" AS "t5"
    WHERE
      "t5"."metric" = 'machine'
  ) AS "t6"
  UNION ALL
  SELECT
    *
  FROM (
    SELECT
      "t5"."machine",
      "t5"."tenant",
      "t5"."cost_centre",
      "t5"."tier",
      "t5"."pool",
      "t5"."labels",
      "t5"."t_to" AS "at",
      -(
        "t5"."quantity"
      ) AS "change"
    FROM "t4" AS "t5"
    WHERE
      "t5"."metric" = 'machine'
  ) AS "t7"
)
SELECT
  "t16"."machine",
  "t16"."tenant",
  "t16"."cost_centre",
  "t16"."tier",
  "t16"."pool",
  "t16"."labels",
  "t16"."at"
FROM (
  SELECT
    "t12"."machine",
    "t12"."tenant",
    "t12"."cost_centre",
    "t12"."tier",
    "t12"."pool",
    "t12"."labels",
    "t12"."at",
    "t12"."payer_changes",
    "t15"."born"
  FROM (
    SELECT
      "t9"."machine",
      "t9"."tenant",
      "t9"."cost_centre",
      "t9"."tier",
      "t9"."pool",
      "t9"."labels",
      "t9"."at",
      SUM("t9"."change") AS "payer_changes"
    FROM "t8" AS "t9"
    GROUP BY
      1,
      2,
      3,
      4,
      5,
      6,
      7
  ) AS "t12"
  INNER JOIN (
    SELECT
      "t13"."machine",
      MIN("t13"."at") AS "born"
    FROM (
      SELECT
        *
      FROM (
        SELECT
          "t9"."machine",
          "t9"."at",
          SUM("t9"."change") AS "all_changes"
        FROM "t8" AS "t9"
        GROUP BY
          1,
          2
      ) AS "t11"
      WHERE
        "t11"."all_changes" <> 0
    ) AS "t13"
    GROUP BY
      1
  ) AS "t15"
    ON "t12"."machine" = "t15"."machine" AND "t12"."at" = "t15"."born"
) AS "t16"
WHERE
  "t16"."payer_changes" > 0
"""
