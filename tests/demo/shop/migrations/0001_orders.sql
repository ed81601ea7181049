-- Never edit a migration that ran somewhere: add another one.
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item text NOT NULL CHECK (item <> ''),
    ordered_at timestamptz NOT NULL DEFAULT now()
);
