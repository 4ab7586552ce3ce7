-- The ledger: what grows with customers. Every such table has customer_id first in its
-- primary key and in every unique index, references nothing, and is joined with its like on
-- customer_id, so that it can be distributed over several machines by that column.
-- +goose Up

-- One row, updated by every transaction that brings rows in: its lock makes the numbers
-- grow in commit order, so "everything up to N" is the same set for ever.
CREATE TABLE ingest_position (
    id    boolean PRIMARY KEY DEFAULT true,
    value bigint NOT NULL DEFAULT 0,
    CONSTRAINT ingest_position_one_row CHECK (id)
);
INSERT INTO ingest_position DEFAULT VALUES;

CREATE TABLE customers (
    customer_id text NOT NULL,
    attributes  jsonb NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (customer_id)
);

CREATE TABLE events (
    customer_id text NOT NULL,
    id          text NOT NULL,
    type        text NOT NULL,
    occurred_at timestamptz NOT NULL,
    value       numeric,
    currency    text,
    channel     text,
    touchpoint  text,
    properties  json,
    digest      bytea NOT NULL,
    position    bigint NOT NULL,
    PRIMARY KEY (customer_id, id),
    CONSTRAINT events_value CHECK (abs(value) <= 1e12)
);
-- Rows arrive in the order of their position, so a block-range index finds what is new.
CREATE INDEX events_position ON events USING brin (position);

CREATE TABLE exposures (
    customer_id text NOT NULL,
    id          text NOT NULL,
    touchpoint  text NOT NULL,
    occurred_at timestamptz NOT NULL,
    digest      bytea NOT NULL,
    position    bigint NOT NULL,
    PRIMARY KEY (customer_id, id)
);

CREATE TABLE enrolments (
    customer_id    text NOT NULL,
    experiment     text NOT NULL,
    variant        text NOT NULL,
    assignment_key text NOT NULL,
    enrolled_at    timestamptz NOT NULL,
    channel        text NOT NULL,
    touchpoint     text NOT NULL,
    position       bigint NOT NULL,
    PRIMARY KEY (customer_id, experiment)
);
CREATE INDEX enrolments_experiment ON enrolments (experiment, position);

-- A customer's value of a metric over its whole window; only values other than 0 are kept.
CREATE TABLE measures (
    customer_id text NOT NULL,
    experiment  text NOT NULL,
    metric      text NOT NULL,
    value       numeric NOT NULL,
    PRIMARY KEY (customer_id, experiment, metric),
    CONSTRAINT measures_value CHECK (abs(value) < 'Infinity')
);
CREATE INDEX measures_experiment ON measures (experiment, metric);

-- Up to which ingest position an experiment has been measured.
CREATE TABLE measure_cuts (
    experiment text PRIMARY KEY,
    position   bigint NOT NULL
);

-- +goose Down
DROP TABLE measure_cuts, measures, enrolments, exposures, events, customers, ingest_position;
