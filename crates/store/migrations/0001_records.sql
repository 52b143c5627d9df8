-- Call records (PL-6). Times are microseconds since 1970-01-01T00:00:00Z; objects are written tenant/name.
CREATE TABLE call_records (
    call          TEXT PRIMARY KEY NOT NULL,
    caller_number TEXT NOT NULL,
    caller_name   TEXT NOT NULL,
    dialled       TEXT NOT NULL,
    number        TEXT,
    started       BIGINT NOT NULL,
    ended         BIGINT NOT NULL,
    queue         TEXT,
    agent         TEXT,
    wait_ms       BIGINT,
    talk_ms       BIGINT NOT NULL,
    outcome       TEXT NOT NULL,
    cause         TEXT NOT NULL,
    transitions   TEXT NOT NULL
);
CREATE INDEX call_records_by_time ON call_records (started, call);
CREATE INDEX call_records_by_agent ON call_records (agent, started, call);
-- Queues and numbers are few, so a walk along the time finds theirs soon; an index each would cost every call a page.

-- What agents want, kept over a restart (TR-5, TR-6). logged_out_of: a JSON array of queues, each tenant/name.
CREATE TABLE agent_availability (
    agent         TEXT PRIMARY KEY NOT NULL,
    availability  TEXT NOT NULL,
    logged_out_of TEXT NOT NULL
);

-- The fencing number (CL-3): one row, raised by one at every start.
CREATE TABLE epoch (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    value BIGINT NOT NULL
);
INSERT INTO epoch (id, value) VALUES (1, 0);
