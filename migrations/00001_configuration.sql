-- Configuration: what people write down. These tables stay small, are read whole into
-- memory, and never reference a table that grows with customers. Their own changes are
-- made under one lock: the row of configuration.
-- +goose Up

-- One row. Its version grows with every change; whoever changes configuration locks it.
CREATE TABLE configuration (
    id                 boolean PRIMARY KEY DEFAULT true,
    version            bigint NOT NULL DEFAULT 1,
    reporting_currency text,
    CONSTRAINT configuration_one_row CHECK (id)
);
INSERT INTO configuration DEFAULT VALUES;

CREATE TABLE api_keys (
    id         text PRIMARY KEY,
    name       text NOT NULL,
    scopes     text[] NOT NULL,
    hash       bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);

-- First answers of creates, by the key that asked. The answer is sealed with that key's
-- secret, so a stored answer gives nothing away.
CREATE TABLE idempotency_keys (
    owner      text NOT NULL,
    key        text NOT NULL,
    digest     bytea NOT NULL,
    status     integer NOT NULL,
    body       bytea,
    claimed_at timestamptz NOT NULL,
    PRIMARY KEY (owner, key)
);

CREATE TABLE layers (
    key  text PRIMARY KEY,
    salt text NOT NULL
);
INSERT INTO layers (key, salt) VALUES ('default', replace(CAST(gen_random_uuid() AS text), '-', ''));

CREATE TABLE touchpoints (
    key           text PRIMARY KEY,
    name          text NOT NULL,
    channel       text NOT NULL,
    stage         text NOT NULL,
    content       json NOT NULL,
    cost_amount   numeric,
    cost_currency text,
    promoted_by   text,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    CONSTRAINT touchpoints_cost CHECK (cost_amount >= 0 AND cost_amount <= 1e12)
);

CREATE TABLE metrics (
    key        text PRIMARY KEY,
    definition json NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE experiments (
    key          text PRIMARY KEY,
    status       text NOT NULL,
    outcome      text NOT NULL DEFAULT '',
    winner       text NOT NULL DEFAULT '',
    version      integer NOT NULL,
    spec         json NOT NULL,
    touchpoints  text[] NOT NULL,
    metrics      text[] NOT NULL,
    salt         text NOT NULL,
    slots        json NOT NULL,
    frozen       json NOT NULL,
    stopped      text[] NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    started_at   timestamptz,
    concluded_at timestamptz,
    CONSTRAINT experiments_status CHECK (status IN ('draft', 'running', 'paused', 'concluded'))
);

CREATE TABLE promotions (
    experiment     text PRIMARY KEY REFERENCES experiments (key),
    variant        text NOT NULL,
    served_before  json NOT NULL,
    promoted_at    timestamptz NOT NULL,
    rolled_back_at timestamptz
);

-- Reports are documents: stored as computed and never changed.
CREATE TABLE reports (
    experiment  text NOT NULL REFERENCES experiments (key),
    version     integer NOT NULL,
    as_of       timestamptz NOT NULL,
    look        integer,
    document    json NOT NULL,
    PRIMARY KEY (experiment, version),
    UNIQUE (experiment, look)
);

CREATE TABLE decisions (
    id             text PRIMARY KEY,
    experiment     text NOT NULL REFERENCES experiments (key),
    report_version integer,
    action         text NOT NULL,
    variant        text NOT NULL,
    mode           text NOT NULL,
    reasons        json NOT NULL,
    decided_by     text NOT NULL,
    approved_by    text NOT NULL,
    note           text NOT NULL,
    decided_at     timestamptz NOT NULL,
    applied_at     timestamptz,
    superseded_at  timestamptz
);
-- At most one decision of an experiment waits.
CREATE UNIQUE INDEX decisions_pending ON decisions (experiment)
    WHERE applied_at IS NULL AND superseded_at IS NULL;

CREATE TABLE job_runs (
    job         text PRIMARY KEY,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    row_count   integer NOT NULL DEFAULT 0,
    error       text NOT NULL DEFAULT ''
);

-- +goose Down
DROP TABLE job_runs, decisions, reports, promotions, experiments, metrics, touchpoints, layers,
    idempotency_keys, api_keys, configuration;
