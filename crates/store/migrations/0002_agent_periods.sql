-- What agents spent their time on (PL-5), cut at the quarters of an hour. Times are microseconds since
-- 1970-01-01T00:00:00Z; objects are written tenant/name. queues: a JSON array, those that he was logged in to.
CREATE TABLE agent_periods (
    began  BIGINT NOT NULL,
    agent  TEXT NOT NULL,
    ended  BIGINT NOT NULL,
    spent  TEXT NOT NULL,
    queue  TEXT,
    queues TEXT NOT NULL,
    PRIMARY KEY (began, agent)
) WITHOUT ROWID;
