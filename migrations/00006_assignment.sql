-- What assignment knows beside tests: holdouts, forced variants, the state of a ramp, and
-- enrolments that could not be recorded.
-- +goose Up

-- The secret that keyed hashes of identifiers are made with. Hashes outlive an erasure;
-- without the secret nobody can try identifiers against them.
ALTER TABLE configuration ADD COLUMN secret bytea NOT NULL
    DEFAULT sha256(convert_to(CAST(gen_random_uuid() AS text) || CAST(gen_random_uuid() AS text), 'UTF8'));

-- parts is the share in ten-thousandths, contents are those of the touchpoints at its creation.
CREATE TABLE holdouts (
    key        text PRIMARY KEY,
    parts      integer NOT NULL,
    salt       text NOT NULL,
    contents   json NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT holdouts_parts CHECK (parts BETWEEN 1 AND 10000)
);

-- The ramp and the holdback of a promotion. A promotion made before there were ramps has
-- reached everyone.
ALTER TABLE promotions
    ADD COLUMN step integer NOT NULL DEFAULT 0,
    ADD COLUMN stepped_at timestamptz,
    ADD COLUMN ended_at timestamptz;
UPDATE promotions SET stepped_at = promoted_at, ended_at = promoted_at;
ALTER TABLE promotions ALTER COLUMN stepped_at SET NOT NULL;

-- Enrolments that were answered and could be written nowhere, by the test they are missing from.
CREATE TABLE unrecorded_enrolments (
    experiment text PRIMARY KEY REFERENCES experiments (key),
    count      bigint NOT NULL,
    last_at    timestamptz NOT NULL
);

-- The place of a customer's last change, for servers that keep attributes in memory.
ALTER TABLE customers ADD COLUMN position bigint NOT NULL DEFAULT 0;
CREATE INDEX customers_position ON customers (position, customer_id);

-- Variants that a person forced on a customer, who is named by any identifier of theirs.
CREATE TABLE overrides (
    customer_id text NOT NULL,
    experiment  text NOT NULL,
    variant     text NOT NULL,
    PRIMARY KEY (customer_id, experiment)
);
CREATE INDEX overrides_experiment ON overrides (experiment);

-- +goose Down
DROP TABLE overrides, unrecorded_enrolments, holdouts;
DROP INDEX customers_position;
ALTER TABLE customers DROP COLUMN position;
ALTER TABLE promotions DROP COLUMN step, DROP COLUMN stepped_at, DROP COLUMN ended_at;
ALTER TABLE configuration DROP COLUMN secret;
