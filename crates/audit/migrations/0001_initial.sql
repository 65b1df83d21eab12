-- The first schema. Shipped migrations are never edited; add the next number instead.
--
-- The truth about an event is the text in `event`, over which the chain's hash goes. The columns
-- beside it, and event_study, are there to find it by; verification compares them with the text.

CREATE TABLE event (
    sequence    INTEGER PRIMARY KEY,            -- 1, 2, 3, … without gaps
    recorded    INTEGER NOT NULL,               -- µs since 1970, never less than in the row before
    kind        TEXT    NOT NULL,
    outcome     INTEGER NOT NULL,
    person      TEXT    NOT NULL,               -- empty where there is none, like those below
    calling_ae  TEXT    NOT NULL,
    address     TEXT    NOT NULL,
    patient_id  TEXT    NOT NULL,
    issuer      TEXT    NOT NULL,
    event       TEXT    NOT NULL,               -- the event, as JSON
    previous    BLOB    NOT NULL CHECK (length(previous) = 32),
    hash        BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX event_by_time ON event (recorded);
CREATE INDEX event_by_kind ON event (kind, sequence);
CREATE INDEX event_by_failure ON event (sequence) WHERE outcome <> 0;
CREATE INDEX event_by_person ON event (person, sequence) WHERE person <> '';
CREATE INDEX event_by_calling_ae ON event (calling_ae, sequence) WHERE calling_ae <> '';
CREATE INDEX event_by_patient ON event (patient_id, sequence) WHERE patient_id <> '';

-- The studies that an event is about.
CREATE TABLE event_study (
    study       TEXT    NOT NULL,
    sequence    INTEGER NOT NULL,
    PRIMARY KEY (study, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_study_by_sequence ON event_study (sequence);

CREATE TRIGGER event_no_update BEFORE UPDATE ON event
BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER event_no_delete BEFORE DELETE ON event
BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER event_in_sequence BEFORE INSERT ON event
WHEN NEW.sequence <> (SELECT coalesce(max(sequence), 0) + 1 FROM event)
BEGIN SELECT raise(ABORT, 'the audit trail has no gaps'); END;
CREATE TRIGGER event_study_no_update BEFORE UPDATE ON event_study
BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER event_study_no_delete BEFORE DELETE ON event_study
BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;

-- One row: which chain this is.
CREATE TABLE chain (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    genesis     BLOB    NOT NULL CHECK (length(genesis) = 32)
) STRICT;

-- From which event on the chain is under the key, or not: encryption may be switched on and off.
CREATE TABLE epoch (
    sequence    INTEGER PRIMARY KEY,
    is_keyed    INTEGER NOT NULL
) STRICT;

-- How far events were given to each collector.
CREATE TABLE collector (
    name        TEXT    PRIMARY KEY,
    position    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
