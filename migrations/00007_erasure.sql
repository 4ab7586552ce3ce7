-- What stays of erased customers: keyed hashes, so that what is sent again does not count
-- again, and so that every server can tell whom to forget, however late it asks. All are
-- HMAC-SHA-256 with configuration.secret; nothing here can be read without trying
-- identifiers against it, and nobody can try without the secret.
-- +goose Up

-- From here on customer_id is the hash of an identifier, in hexadecimal digits. person stands
-- for all identifiers that were erased together, and digest is the hash by which a server's
-- memory knows the identifier. Plain identifiers of before would be of no use.
DELETE FROM erasures;
ALTER TABLE erasures
    ADD COLUMN person text NOT NULL,
    ADD COLUMN digest bytea NOT NULL,
    DROP CONSTRAINT erasures_pkey,
    ADD PRIMARY KEY (customer_id, person);

-- The events, exposures and enrolments that an erased person had. customer_id is the person
-- of erasures, id the hash of what makes the row one that was sent before.
CREATE TABLE erased_ids (
    customer_id text NOT NULL,
    id          bytea NOT NULL,
    PRIMARY KEY (customer_id, id)
);

-- Where somebody who was enrolled in an experiment was last erased: from there on its
-- reports cannot be computed again as they were.
CREATE TABLE experiment_erasures (
    experiment text PRIMARY KEY,
    position   bigint NOT NULL
);

-- +goose Down
DROP TABLE experiment_erasures, erased_ids;
DELETE FROM erasures;
ALTER TABLE erasures
    DROP CONSTRAINT erasures_pkey,
    DROP COLUMN person,
    DROP COLUMN digest,
    ADD PRIMARY KEY (customer_id);
