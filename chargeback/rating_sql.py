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
WITH "t6" AS (
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
    "t4"."everywhere",
    "t5"."known_at"
  FROM (
    SELECT
      "t0"."machine",
      "t0"."tenant",
      "t0"."cost_centre",
      "t0"."tier",
      "t0"."pool",
      "t0"."metric",
      "t0"."quantity",
      "t0"."power",
      "t0"."t_from",
      "t0"."t_to",
      "t0"."recorded_at",
      "t0"."source",
      "t0"."sequence",
      "t0"."labels",
      1 AS "everywhere"
    FROM "usage_interval" AS "t0"
  ) AS "t4"
  INNER JOIN (
    SELECT
      "t1"."known_at",
      1 AS "everywhere"
    FROM "knowledge" AS "t1"
  ) AS "t5"
    ON "t4"."everywhere" = "t5"."everywhere"
), "t10" AS (
  SELECT
    *
  FROM (
    SELECT
      "t7"."machine",
      "t7"."tenant",
      "t7"."cost_centre",
      "t7"."tier",
      "t7"."pool",
      "t7"."labels",
      "t7"."t_from" AS "at",
      "t7"."quantity" AS "change"
    FROM "t6" AS "t7"
    WHERE
      "t7"."recorded_at" <= "t7"."known_at" AND "t7"."metric" = 'machine'
  ) AS "t8"
  UNION ALL
  SELECT
    *
  FROM (
    SELECT
      "t7"."machine",
      "t7"."tenant",
      "t7"."cost_centre",
      "t7"."tier",
      "t7"."pool",
      "t7"."labels",
      "t7"."t_to" AS "at",
      -(
        "t7"."quantity"
      ) AS "change"
    FROM "t6" AS "t7"
    WHERE
      "t7"."recorded_at" <= "t7"."known_at" AND "t7"."metric" = 'machine'
  ) AS "t9"
)
SELECT
  "t18"."machine",
  "t18"."tenant",
  "t18"."cost_centre",
  "t18"."tier",
  "t18"."pool",
  "t18"."labels",
  "t18"."at"
FROM (
  SELECT
    "t14"."machine",
    "t14"."tenant",
    "t14"."cost_centre",
    "t14"."tier",
    "t14"."pool",
    "t14"."labels",
    "t14"."at",
    "t14"."payer_changes",
    "t17"."born"
  FROM (
    SELECT
      "t11"."machine",
      "t11"."tenant",
      "t11"."cost_centre",
      "t11"."tier",
      "t11"."pool",
      "t11"."labels",
      "t11"."at",
      SUM("t11"."change") AS "payer_changes"
    FROM "t10" AS "t11"
    GROUP BY
      1,
      2,
      3,
      4,
      5,
      6,
      7
  ) AS "t14"
  INNER JOIN (
    SELECT
      "t15"."machine",
      MIN("t15"."at") AS "born"
    FROM (
      SELECT
        *
      FROM (
        SELECT
          "t11"."machine",
          "t11"."at",
          SUM("t11"."change") AS "all_changes"
        FROM "t10" AS "t11"
        GROUP BY
          1,
          2
      ) AS "t13"
      WHERE
        "t13"."all_changes" <> 0
    ) AS "t15"
    GROUP BY
      1
  ) AS "t17"
    ON "t14"."machine" = "t17"."machine" AND "t14"."at" = "t17"."born"
) AS "t18"
WHERE
  "t18"."payer_changes" > 0
"""
