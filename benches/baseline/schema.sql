-- The ledger that an ordinary service would keep: one posting a transaction, all of it inside one function, so
-- that a posting costs one round trip and one commit.

DROP TABLE IF EXISTS posting, account CASCADE;

-- Half-filled pages let an update stay on its page.
CREATE TABLE account (
    id      BIGINT PRIMARY KEY,
    balance BIGINT NOT NULL,
    floor   BIGINT NOT NULL DEFAULT 0,
    version BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE posting (
    id         UUID PRIMARY KEY,
    account_id BIGINT      NOT NULL REFERENCES account,
    amount     BIGINT      NOT NULL,
    kind       SMALLINT    NOT NULL,
    memo       TEXT,
    at         TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX ON posting (account_id, id);

-- So much money that no run meets the floor.
INSERT INTO account (id, balance)
SELECT number, 1000000000000 FROM generate_series(1, 1000) AS number;

-- Takes an amount from an account, unless that would bring it below its floor.
CREATE OR REPLACE FUNCTION post(posting_id UUID, payer BIGINT, taken BIGINT) RETURNS TEXT
LANGUAGE plpgsql AS $$
DECLARE
    balance_after BIGINT;
BEGIN
    UPDATE account
    SET balance = balance - taken, version = version + 1
    WHERE id = payer AND floor <= balance - taken
    RETURNING balance INTO balance_after;
    IF NOT FOUND THEN
        RETURN 'overspend';
    END IF;
    INSERT INTO posting (id, account_id, amount, kind, memo)
    VALUES (posting_id, payer, -taken, 1, 'fuel and demining kits');
    RETURN 'ok';
END $$;
