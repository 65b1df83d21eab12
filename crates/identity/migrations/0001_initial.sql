-- People and service accounts. Times are microseconds since 1970.
CREATE TABLE person (
    id INTEGER PRIMARY KEY,
    -- Folded to lower case.
    login TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('person', 'service')),
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    -- PN values as which the person orders and performs: a JSON array.
    dicom_names TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    created INTEGER NOT NULL,
    last_seen INTEGER,
    -- PHC string; none: no password.
    password TEXT,
    password_changed INTEGER,
    -- Of an account that an identity provider or a directory vouches for.
    issuer TEXT,
    subject TEXT,
    -- What passkeys call the account (WebAuthn user handle).
    handle BLOB NOT NULL UNIQUE,
    UNIQUE (issuer, subject)
) STRICT;

-- Roles that the site defined; the built-in ones are in the program.
CREATE TABLE role (
    name TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    rights TEXT NOT NULL,
    scope TEXT NOT NULL,
    only_own_studies INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE person_role (
    person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    role TEXT NOT NULL,
    -- Whether it comes from groups of an identity provider or directory: set anew at each login.
    is_external INTEGER NOT NULL,
    PRIMARY KEY (person, role, is_external)
) STRICT, WITHOUT ROWID;

-- Grants to one person beside those of the roles.
CREATE TABLE personal_grant (
    id INTEGER PRIMARY KEY,
    person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    rights TEXT NOT NULL,
    scope TEXT NOT NULL,
    ends INTEGER,
    reason TEXT NOT NULL,
    granted_by TEXT,
    created INTEGER NOT NULL
) STRICT;
CREATE INDEX personal_grant_person ON personal_grant (person);

CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    secret_hash BLOB NOT NULL UNIQUE,
    person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    created INTEGER NOT NULL,
    last_used INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    address TEXT,
    user_agent TEXT NOT NULL,
    -- How the person proved who they are: password, password and code, passkey, provider.
    method TEXT NOT NULL
) STRICT;
CREATE INDEX session_person ON session (person);

CREATE TABLE token (
    id INTEGER PRIMARY KEY,
    secret_hash BLOB NOT NULL UNIQUE,
    person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    name TEXT NOT NULL,
    rights TEXT NOT NULL,
    scope TEXT NOT NULL,
    created INTEGER NOT NULL,
    ends INTEGER,
    last_used INTEGER,
    last_address TEXT,
    revoked INTEGER
) STRICT;
CREATE INDEX token_person ON token (person);

-- Links that work once: the one that makes the first administrator, and those that set a password.
CREATE TABLE one_time_link (
    secret_hash BLOB PRIMARY KEY,
    purpose TEXT NOT NULL CHECK (purpose IN ('set-up', 'password')),
    person INTEGER REFERENCES person ON DELETE CASCADE,
    ends INTEGER
) STRICT, WITHOUT ROWID;

-- Failed attempts, by hashes of what was attempted upon, so that nothing typed is kept.
CREATE TABLE failed_attempt (
    what BLOB PRIMARY KEY,
    failures INTEGER NOT NULL,
    last INTEGER NOT NULL,
    blocked_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Addresses from which somebody has logged in: guesses from elsewhere do not lock them out there.
CREATE TABLE familiar_address (
    person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    address TEXT NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (person, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE totp (
    person INTEGER PRIMARY KEY REFERENCES person ON DELETE CASCADE,
    -- Sealed with a key of its own.
    secret BLOB NOT NULL,
    is_confirmed INTEGER NOT NULL,
    -- The time step of the last code taken: no code is taken twice.
    last_step INTEGER NOT NULL,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE recovery_code (
    person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    code_hash BLOB NOT NULL,
    PRIMARY KEY (person, code_hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE passkey (
    id INTEGER PRIMARY KEY,
    person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    credential BLOB NOT NULL UNIQUE,
    -- COSE_Key.
    public_key BLOB NOT NULL,
    signature_count INTEGER NOT NULL,
    name TEXT NOT NULL,
    created INTEGER NOT NULL,
    last_used INTEGER
) STRICT;
CREATE INDEX passkey_person ON passkey (person);

CREATE TABLE share (
    id INTEGER PRIMARY KEY,
    secret_hash BLOB NOT NULL UNIQUE,
    study TEXT NOT NULL,
    series TEXT,
    pin TEXT,
    pin_failures INTEGER NOT NULL,
    may_download INTEGER NOT NULL,
    note TEXT NOT NULL,
    person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    created INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    revoked INTEGER,
    uses INTEGER NOT NULL,
    last_used INTEGER
) STRICT;

-- Opened shares: what a browser shows instead of the link and its PIN.
CREATE TABLE share_session (
    secret_hash BLOB PRIMARY KEY,
    share INTEGER NOT NULL REFERENCES share ON DELETE CASCADE,
    ends INTEGER NOT NULL,
    address TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE break_glass (
    id INTEGER PRIMARY KEY,
    person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    reason TEXT NOT NULL,
    rights TEXT NOT NULL,
    scope TEXT NOT NULL,
    opened INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    address TEXT,
    reviewed INTEGER,
    reviewed_by TEXT,
    review_note TEXT
) STRICT;
CREATE INDEX break_glass_person ON break_glass (person, ends);

-- What commands did, for the server to tell the audit trail of: only one process writes that.
CREATE TABLE untold_event (
    id INTEGER PRIMARY KEY,
    event TEXT NOT NULL
) STRICT;
