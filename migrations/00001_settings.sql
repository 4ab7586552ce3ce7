-- Settings that must never differ between two servers of one database.
-- +goose Up
CREATE TABLE settings (
    name  text PRIMARY KEY,
    value text NOT NULL
);
-- +goose Down
DROP TABLE settings;
