-- People with several identifiers, and dated rates of currencies. A person's rows stand in
-- the ledger under the bytewise smallest of their identifiers. A link that makes another one
-- the smallest moves the rows by delete and insert, and they keep their positions: what was
-- ingested when does not change because two identifiers turned out to be one person.
-- +goose Up

-- Every identifier that is linked to another, the smallest included. customer_id is the
-- identifier and person the id of the person's rows. position is that of the newest link
-- of the person.
CREATE TABLE identities (
    customer_id text NOT NULL,
    person      text NOT NULL,
    position    bigint NOT NULL,
    PRIMARY KEY (customer_id)
);
CREATE INDEX identities_person ON identities (person);
CREATE INDEX identities_position ON identities (position);

-- Customers who must be measured again although no row of theirs is new: both ids after a
-- link (the old one has no rows any more, so its measures go), those whose values a rate
-- concerns. Whoever measures deletes the measures of these ids and computes them again; the
-- transaction that writes here never touches measures, which a job may hold for minutes.
CREATE TABLE customer_changes (
    customer_id text NOT NULL,
    position    bigint NOT NULL,
    PRIMARY KEY (customer_id, position)
);
CREATE INDEX customer_changes_position ON customer_changes (position);

-- Identifiers erased of late, until every server has dropped them from its memory.
CREATE TABLE erasures (
    customer_id text NOT NULL,
    position    bigint NOT NULL,
    PRIMARY KEY (customer_id)
);
CREATE INDEX erasures_position ON erasures (position);

-- Of unequal events that a link brought together under one id the first ingested counts
-- (at one position the bytewise smallest digest). The others are here.
CREATE TABLE event_conflicts (
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
    PRIMARY KEY (customer_id, id, digest),
    CONSTRAINT event_conflicts_value CHECK (abs(value) <= 1e12)
);

CREATE TABLE exposure_conflicts (
    customer_id text NOT NULL,
    id          text NOT NULL,
    touchpoint  text NOT NULL,
    occurred_at timestamptz NOT NULL,
    digest      bytea NOT NULL,
    position    bigint NOT NULL,
    PRIMARY KEY (customer_id, id, digest)
);

-- Of a person's enrolments in one experiment the earliest counts: by enrolled_at, then by
-- the bytewise smallest assignment_key, then variant. The others are here, from the position
-- superseded_at on; one that counted for a while did so from its position up to there.
CREATE TABLE enrolments_superseded (
    customer_id    text NOT NULL,
    experiment     text NOT NULL,
    variant        text NOT NULL,
    assignment_key text NOT NULL,
    enrolled_at    timestamptz NOT NULL,
    channel        text NOT NULL,
    touchpoint     text NOT NULL,
    position       bigint NOT NULL,
    superseded_at  bigint NOT NULL,
    PRIMARY KEY (customer_id, experiment, assignment_key, variant, position)
);

-- A person is contaminated in an experiment when a superseded enrolment has another variant.
ALTER TABLE enrolments ADD contaminated boolean NOT NULL DEFAULT false;
CREATE INDEX enrolments_position ON enrolments (position);

-- When each attribute was written, in microseconds since 1970, so that the newest one stands
-- in whatever order identifiers are linked. An attribute without an entry: at updated_at.
ALTER TABLE customers ADD attribute_times jsonb NOT NULL DEFAULT '{}';

-- Units of the reporting currency for one, from the beginning of a UTC day on and for eight
-- days: on the day itself and while at most seven days old. A correction is a new row: as
-- of a position, the row with the newest position up to it counts.
CREATE TABLE rates (
    currency   text NOT NULL,
    valid_from timestamptz NOT NULL,
    rate       numeric NOT NULL,
    position   bigint NOT NULL,
    PRIMARY KEY (currency, valid_from, position),
    CONSTRAINT rates_rate CHECK (rate > 0 AND rate <= 1e12)
);

-- Finds the events that a rate concerns: they arrive more or less in the order of time.
CREATE INDEX events_occurred_at ON events USING brin (occurred_at) WITH (autosummarize = on);
ALTER INDEX events_position SET (autosummarize = on);

-- +goose Down
ALTER INDEX events_position RESET (autosummarize);
DROP INDEX events_occurred_at;
DROP TABLE rates, enrolments_superseded, exposure_conflicts, event_conflicts, erasures, customer_changes, identities;
ALTER TABLE customers DROP attribute_times;
DROP INDEX enrolments_position;
ALTER TABLE enrolments DROP contaminated;
