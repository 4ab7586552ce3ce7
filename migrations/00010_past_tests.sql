-- What concluded tests found: the closing report of each, once and for ever, and the effects
-- by which the winners of later tests are judged.
-- +goose Up

-- A concluded test stands here by its newest report as soon as it is over (closing false), and
-- by its closing report once its last customer has matured (closing true). Reports see the
-- rows whose position, an ingest position, is at most their data cut: the same ones whenever
-- they are computed again. matures_at is when the last customer will have matured; it alone
-- changes, when customers turn up late.
CREATE TABLE past_tests (
    experiment text NOT NULL REFERENCES experiments (key),
    closing    boolean NOT NULL,
    objective  text NOT NULL,
    at         timestamptz NOT NULL,
    position   bigint NOT NULL,
    matures_at timestamptz,
    effects    json NOT NULL,
    PRIMARY KEY (experiment, closing),
    CONSTRAINT past_tests_matures_at CHECK (closing = (matures_at IS NULL))
);
CREATE INDEX past_tests_objective ON past_tests (objective);

-- +goose Down
DROP TABLE past_tests;
