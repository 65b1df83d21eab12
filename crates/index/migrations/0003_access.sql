-- What decides who may know of a study: keys, a line each in the columns. The first character
-- tells what it is: 'S' a folded Institution Name, 'D' a folded Institutional Department Name,
-- 'C' an AE title that was called, 'N' a folded component group of the name of somebody who
-- referred, requested, performed or reads, 'L' a folded label, 'R' alone: restricted.
ALTER TABLE study ADD COLUMN access TEXT NOT NULL DEFAULT '';
ALTER TABLE series ADD COLUMN access TEXT NOT NULL DEFAULT '';

CREATE TABLE study_access (
    key         TEXT    NOT NULL,
    study       INTEGER NOT NULL,
    PRIMARY KEY (key, study)
) STRICT, WITHOUT ROWID;

-- What people said of a study: 'L' before a label, 'R' alone: restricted. By UID, so that it
-- stays when the study is deleted and comes again.
CREATE TABLE study_mark (
    study_instance_uid TEXT NOT NULL,
    mark               TEXT NOT NULL,
    text               TEXT NOT NULL,           -- the label as it was written
    PRIMARY KEY (study_instance_uid, mark)
) STRICT, WITHOUT ROWID;
