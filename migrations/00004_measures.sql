-- Measures of every kind: a second value beside the first. What was measured so far is
-- measured again, from the ledger.
-- +goose Up
TRUNCATE measures, measure_cuts;

-- x is the denominator of a ratio; of any other kind the same measure over as many days
-- before enrolment, where the plan asks for it. A customer for whom both are 0 has no row.
-- Of survival, value is the whole days until churn, and who has not churned by to_day has
-- no row.
ALTER TABLE measures ADD x numeric NOT NULL DEFAULT 0,
    ADD CONSTRAINT measures_x CHECK (abs(x) < 'Infinity');

-- +goose Down
TRUNCATE measures, measure_cuts;
ALTER TABLE measures DROP x;
