-- Reads of a gateway's journal that are not in the audit log, because their account's chain was damaged when
-- they came: they are recorded when they are brought again and it is in order.
CREATE TABLE gateway_journal_gaps (
    journal BLOB NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (journal, number)
);

-- What is old is forgotten, and journals of one gateway are counted, without looking at all others.
CREATE INDEX gateway_journals_by_seen ON gateway_journals (seen);
CREATE INDEX gateway_journals_by_gateway ON gateway_journals (gateway);
