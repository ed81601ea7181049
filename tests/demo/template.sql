-- What the shop's golden template holds beside the first migration: that it ran, and orders to look at.
CREATE TABLE migrations (name text PRIMARY KEY, ran_at timestamptz NOT NULL DEFAULT now());
INSERT INTO migrations (name) VALUES ('0001_orders.sql');
INSERT INTO orders (item) VALUES ('A blue mug'), ('Two tea towels');
