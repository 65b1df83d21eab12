-- The first schema. Shipped migrations are never edited; add the next number instead.
--
-- What can be seen: an instance that no deletion claims, and what has such instances. The counts
-- of studies, series and instances are those of what can be seen, kept in the transaction that
-- changes it; a row whose count is 0 is hidden.
--
-- Attributes are not columns. What describes a patient, study or series is the stored header of
-- its representative: the first of its instances that can be seen. Columns are only what searches
-- need an index or an order for.

-- One row: how far the ledger has been applied, and the sums over the whole archive.
CREATE TABLE state (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    applied     BLOB    NOT NULL,               -- position in the ledger
    patients    INTEGER NOT NULL DEFAULT 0,
    studies     INTEGER NOT NULL DEFAULT 0,
    series      INTEGER NOT NULL DEFAULT 0,
    instances   INTEGER NOT NULL DEFAULT 0,
    bytes       INTEGER NOT NULL DEFAULT 0
) STRICT;

-- SOP classes and transfer syntaxes, which repeat in every instance.
CREATE TABLE uid (
    id          INTEGER PRIMARY KEY,
    uid         TEXT    NOT NULL UNIQUE
) STRICT;

-- Who sent instances, and how; empty where unknown.
CREATE TABLE source (
    id          INTEGER PRIMARY KEY,
    door        TEXT    NOT NULL,
    calling_ae  TEXT    NOT NULL,
    called_ae   TEXT    NOT NULL,
    address     TEXT    NOT NULL,
    user_name   TEXT    NOT NULL,
    UNIQUE (door, calling_ae, called_ae, address, user_name)
) STRICT;

CREATE TABLE patient (
    id          INTEGER PRIMARY KEY,
    patient_id  TEXT,                           -- NULL: unknown, one row for each such study
    issuer      TEXT    NOT NULL,
    study       INTEGER,                        -- the representative
    studies     INTEGER NOT NULL DEFAULT 0,
    series      INTEGER NOT NULL DEFAULT 0,
    instances   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX patient_identity ON patient (patient_id, issuer) WHERE patient_id IS NOT NULL;

CREATE TABLE study (
    id                 INTEGER PRIMARY KEY,
    patient            INTEGER NOT NULL REFERENCES patient,
    study_instance_uid TEXT    NOT NULL UNIQUE,
    study_date         INTEGER,                 -- yyyymmdd
    birth_date         INTEGER,
    study_description  TEXT,
    keys               TEXT    NOT NULL,        -- in study_key, a line each
    modalities         TEXT    NOT NULL,        -- in the order of arrival, '\' between
    instance           INTEGER,                 -- the representative
    series             INTEGER NOT NULL DEFAULT 0,
    instances          INTEGER NOT NULL DEFAULT 0,
    bytes              INTEGER NOT NULL DEFAULT 0,
    received_at        INTEGER NOT NULL,        -- of its first instance, microseconds since 1970
    changed_at         INTEGER NOT NULL         -- of its last instance, or of a deletion
) STRICT;
CREATE INDEX study_patient ON study (patient);
CREATE INDEX study_study_date ON study (study_date) WHERE study_date IS NOT NULL;
CREATE INDEX study_birth_date ON study (birth_date) WHERE birth_date IS NOT NULL;

-- What a study is found by; the first character tells what it is: 'P' Patient ID, '=' a folded
-- component group of the patient's name, ':' a folded word of it that no group begins with,
-- 'A' Accession Number, 'I' Study ID.
CREATE TABLE study_key (
    key         TEXT    NOT NULL,
    study       INTEGER NOT NULL,
    PRIMARY KEY (key, study)
) STRICT, WITHOUT ROWID;

CREATE TABLE study_modality (
    modality    TEXT    NOT NULL,
    study       INTEGER NOT NULL,
    PRIMARY KEY (modality, study)
) STRICT, WITHOUT ROWID;

CREATE TABLE study_sop_class (
    study       INTEGER NOT NULL,
    sop_class   INTEGER NOT NULL REFERENCES uid,
    instances   INTEGER NOT NULL,
    PRIMARY KEY (study, sop_class)
) STRICT, WITHOUT ROWID;

CREATE TABLE series (
    id                  INTEGER PRIMARY KEY,
    study               INTEGER NOT NULL REFERENCES study,
    series_instance_uid TEXT    NOT NULL,
    modality            TEXT,
    series_number       INTEGER,
    step_date           INTEGER,                -- Performed Procedure Step Start Date
    requests            TEXT,                   -- keys in series_request, a line each
    instance            INTEGER,                -- the representative
    instances           INTEGER NOT NULL DEFAULT 0,
    bytes               INTEGER NOT NULL DEFAULT 0,
    UNIQUE (series_instance_uid, study)
) STRICT;
CREATE INDEX series_study ON series (study);
CREATE INDEX series_step_date ON series (step_date) WHERE step_date IS NOT NULL;

-- Requested procedure ('R' before it) and scheduled step ids ('S' before them) of series.
CREATE TABLE series_request (
    key         TEXT    NOT NULL,
    series      INTEGER NOT NULL,
    PRIMARY KEY (key, series)
) STRICT, WITHOUT ROWID;

CREATE TABLE instance (
    id               INTEGER PRIMARY KEY,
    series           INTEGER NOT NULL REFERENCES series,
    sop_instance_uid TEXT    NOT NULL,
    sop_class        INTEGER NOT NULL REFERENCES uid,
    transfer_syntax  INTEGER NOT NULL REFERENCES uid,
    instance_number  INTEGER,
    number_of_frames INTEGER NOT NULL,
    location         BLOB    NOT NULL,          -- where the Part 10 file lies
    length           INTEGER NOT NULL,          -- of the Part 10 file
    data_set_offset  INTEGER NOT NULL,          -- bytes before the data set in it
    digest           BLOB    NOT NULL,          -- BLAKE3 of the data set
    received_at      INTEGER NOT NULL,
    source           INTEGER NOT NULL REFERENCES source,
    deletion         INTEGER REFERENCES deletion,
    header_length    INTEGER NOT NULL,          -- unpacked
    header_base      INTEGER,                   -- the instance against whose header it is packed
    header           BLOB    NOT NULL           -- packed
) STRICT;
CREATE UNIQUE INDEX instance_sop_instance_uid ON instance (sop_instance_uid)
    WHERE deletion IS NULL;
CREATE INDEX instance_series ON instance (series);
CREATE INDEX instance_deletion ON instance (deletion) WHERE deletion IS NOT NULL;
CREATE INDEX instance_deleted_uid ON instance (sop_instance_uid) WHERE deletion IS NOT NULL;
-- Large blobs by name: their location is 25 bytes long.
CREATE INDEX instance_large ON instance (location) WHERE length(location) = 25;

-- Where the frames of an instance lie, in the archive's own form.
CREATE TABLE frame_index (
    instance    INTEGER PRIMARY KEY REFERENCES instance,
    bytes       BLOB    NOT NULL
) STRICT;

-- Deletions, which can be undone until they are purged.
CREATE TABLE deletion (
    id                  INTEGER PRIMARY KEY,    -- chosen by the archive, the same after a reindex
    level               TEXT    NOT NULL,
    patient_id          TEXT,
    issuer              TEXT,
    study_instance_uid  TEXT,
    series_instance_uid TEXT,
    sop_instance_uid    TEXT,
    deleted_by          TEXT    NOT NULL,
    deleted_at          INTEGER NOT NULL,
    instances           INTEGER NOT NULL,
    bytes               INTEGER NOT NULL,
    restored_at         INTEGER,
    purged_at           INTEGER
) STRICT;
CREATE INDEX deletion_open ON deletion (deleted_at)
    WHERE restored_at IS NULL AND purged_at IS NULL;
CREATE INDEX deletion_study ON deletion (study_instance_uid);

-- Blobs that no instance needs any more and whose space is still to be given back.
CREATE TABLE garbage (
    location    BLOB    PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Instances that were sent and not stored as sent, for those who look after the archive.
CREATE TABLE attempt (
    id               INTEGER PRIMARY KEY,
    at               INTEGER NOT NULL,
    kind             TEXT    NOT NULL,
    sop_instance_uid TEXT    NOT NULL,
    digest           BLOB,
    source           INTEGER NOT NULL REFERENCES source,
    detail           TEXT    NOT NULL
) STRICT;

-- Peers that have called.
CREATE TABLE peer (
    ae_title    TEXT    NOT NULL,
    address     TEXT    NOT NULL,
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    calls       INTEGER NOT NULL,
    PRIMARY KEY (ae_title, address)
) STRICT, WITHOUT ROWID;

-- Work that must happen: taken by lease, retried, safe to run twice.
CREATE TABLE job (
    id          INTEGER PRIMARY KEY,
    kind        TEXT    NOT NULL,
    key         TEXT,                           -- what may be asked for only once
    payload     TEXT    NOT NULL,               -- JSON
    state       TEXT    NOT NULL,               -- queued, leased, done, failed, cancelled
    due_at      INTEGER NOT NULL,               -- when to run it, or when the lease ends
    attempts    INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    finished_at INTEGER,
    outcome     TEXT                            -- JSON, or the last error
) STRICT;
CREATE UNIQUE INDEX job_key ON job (kind, key) WHERE key IS NOT NULL;
CREATE INDEX job_due ON job (kind, due_at) WHERE state IN ('queued', 'leased');
CREATE INDEX job_finished ON job (finished_at) WHERE finished_at IS NOT NULL;

-- Small facts that other parts of the archive keep.
CREATE TABLE fact (
    key         TEXT    PRIMARY KEY,
    value       BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
