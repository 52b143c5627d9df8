-- What a node that stands alone keeps as its own coordinator: configuration. One row of kept_upto: no revision up to this
-- will be given again.
CREATE TABLE kept (
    key      TEXT PRIMARY KEY NOT NULL,
    value    BLOB NOT NULL,
    revision BIGINT NOT NULL
);
CREATE TABLE kept_upto (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    revision BIGINT NOT NULL
);
INSERT INTO kept_upto (id, revision) VALUES (1, 0);
