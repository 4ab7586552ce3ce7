-- The comparison of customers who are held back from a winner with all others.
-- +goose Up

-- When the holdback of a promotion was over; it is watched on until all of them have matured.
ALTER TABLE promotions ADD COLUMN released_at timestamptz;
UPDATE promotions SET released_at = ended_at;

-- Looks at the comparison, as computed. They never change.
CREATE TABLE holdback_reports (
    experiment text NOT NULL REFERENCES experiments (key),
    version    integer NOT NULL,
    document   json NOT NULL,
    PRIMARY KEY (experiment, version)
);

-- +goose Down
DROP TABLE holdback_reports;
ALTER TABLE promotions DROP COLUMN released_at;
