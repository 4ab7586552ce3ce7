-- Who changed what, in a chain of hashes; what others are told of it; and how often jobs
-- have run. Neither names a customer. Every row here is written in the transaction of the
-- change that it tells of.
-- +goose Up

-- Rows are added and never changed; a change shows when the chain is verified.
CREATE TABLE audit (
    seq      bigint PRIMARY KEY,
    at       timestamptz NOT NULL,
    actor    text NOT NULL,
    action   text NOT NULL,
    object   text NOT NULL,
    detail   text NOT NULL,
    previous bytea NOT NULL,
    hash     bytea NOT NULL
);

-- One row: the end of the chain. Its lock, always the last that a transaction takes, puts
-- the rows in one order.
CREATE TABLE audit_head (
    id   boolean PRIMARY KEY DEFAULT true,
    seq  bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_head_one_row CHECK (id)
);
INSERT INTO audit_head (seq, hash) VALUES (0, decode(repeat('00', 32), 'hex'));

-- Who wants to be told. The secret signs what is sent, so it is kept as it is.
CREATE TABLE webhooks (
    id          text PRIMARY KEY,
    url         text NOT NULL,
    events      text[] NOT NULL,
    secret      bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    disabled_at timestamptz
);

-- What happened, as it is sent. Its id is made of what happened, so that it happens once.
CREATE TABLE messages (
    id         text PRIMARY KEY,
    event      text NOT NULL,
    body       text NOT NULL,
    created_at timestamptz NOT NULL
);

-- One message on its way to one webhook. It is under way while next_attempt_at is set.
CREATE TABLE deliveries (
    webhook         text NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    message         text NOT NULL REFERENCES messages (id),
    created_at      timestamptz NOT NULL,
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    delivered_at    timestamptz,
    PRIMARY KEY (webhook, message)
);
CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

CREATE TABLE delivery_attempts (
    webhook      text NOT NULL,
    message      text NOT NULL,
    attempt      integer NOT NULL,
    at           timestamptz NOT NULL,
    status       integer NOT NULL,
    error        text NOT NULL,
    milliseconds bigint NOT NULL,
    PRIMARY KEY (webhook, message, attempt),
    FOREIGN KEY (webhook, message) REFERENCES deliveries (webhook, message) ON DELETE CASCADE
);

-- What a job has done since its first run, and its last failure, which a good run leaves there.
ALTER TABLE job_runs
    ADD COLUMN runs         bigint NOT NULL DEFAULT 0,
    ADD COLUMN failures     bigint NOT NULL DEFAULT 0,
    ADD COLUMN milliseconds bigint NOT NULL DEFAULT 0,
    ADD COLUMN failed_at    timestamptz,
    ADD COLUMN failure      text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE job_runs
    DROP COLUMN runs, DROP COLUMN failures, DROP COLUMN milliseconds, DROP COLUMN failed_at, DROP COLUMN failure;
DROP TABLE delivery_attempts, deliveries, messages, webhooks, audit_head, audit;
