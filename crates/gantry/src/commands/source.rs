//! Where files come from: folders, ZIP files, and media with a DICOMDIR.

use super::import::journal::Key;
use super::report::{Outcome, shown};
use bytes::Bytes;
use gantry_core::uid::Uid;
use gantry_dicom::encoding;
use gantry_dicom::part10::FileMeta;
use gantry_dicom::tags;
use gantry_dicom::transfer_syntax::TransferSyntax;
use gantry_media::content::{self, Content, Look};
use gantry_media::directory::{self, Directory};
use gantry_media::file_id;
use gantry_media::folder::{FoundFile, PassedReason, Walk};
use gantry_media::zip_file::{Limits, ZipFile};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that are read to tell what a file is.
const HEAD: usize = 4096;
/// Bytes behind the head in which SOP Class and Instance UIDs are looked for.
const IDENTIFIERS_WITHIN: u64 = 64 << 10;

/// One file that may be an instance.
pub struct Candidate {
    /// How it is named to people.
    pub name: String,
    /// Its length as far as is known before reading.
    pub length: u64,
    /// What the journal knows it by, when it can be known again.
    pub key: Option<Key>,
    place: Place,
}

enum Place {
    File(PathBuf),
    ZipEntry { zip: Arc<ZipFile>, index: usize },
    Made(Box<dyn Fn() -> Vec<u8> + Send + Sync>),
}

impl Candidate {
    /// A file that is made when it is read.
    pub fn made(name: String, make: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self {
            name,
            length: 0,
            key: None,
            place: Place::Made(Box::new(make)),
        }
    }

    /// Opens it, and hands its bytes to `work`.
    pub fn read<T>(&self, work: impl FnOnce(&mut dyn Read) -> T) -> Result<T, String> {
        match &self.place {
            Place::File(path) => {
                let mut file = File::open(path).map_err(unreadable)?;
                Ok(work(&mut file))
            }
            Place::ZipEntry { zip, index } => {
                let mut zip = ZipFile::clone(zip);
                let mut entry = zip.read(*index).map_err(|error| error.to_string())?;
                Ok(work(&mut entry))
            }
            Place::Made(make) => Ok(work(&mut make().as_slice())),
        }
    }
}

fn unreadable(error: io::Error) -> String {
    format!("cannot be read: {}", error.kind())
}

/// What a search comes upon.
pub enum Event {
    /// A file to look at.
    Candidate(Candidate),
    /// Something that is passed over or cannot be read, and why.
    Passed {
        /// What it is.
        name: String,
        /// Why.
        reason: String,
        /// Whether that is a failure, and not just nothing to import.
        is_failure: bool,
    },
}

/// Something that files come from.
pub trait Origin: Sync {
    /// Tells number and length of the files, without opening them, as it goes; stops when `found`
    /// says that nobody wants to know any more.
    fn count(&self, found: &mut dyn FnMut(u64, u64) -> bool);

    /// Gives out everything there is, until `give` says that enough is enough.
    fn run(&self, give: &mut dyn FnMut(Event) -> bool);
}

/// What to search, and what to leave out.
#[derive(Debug, Clone)]
pub struct Search {
    /// Files, folders, ZIP files, DICOMDIR files.
    pub paths: Vec<PathBuf>,
    /// A folder that is left out: the archive's own.
    pub without: Option<PathBuf>,
    /// Bounds for ZIP files.
    pub zip_limits: Limits,
}

impl Search {
    fn walk(&self) -> Walk {
        let paths = self.paths.iter().map(|path| medium_of(path)).collect();
        match &self.without {
            Some(folder) => Walk::new(paths).without(folder),
            None => Walk::new(paths),
        }
    }

    fn zip_entries(&self, file: &FoundFile, give: &mut dyn FnMut(Event) -> bool) -> bool {
        let shown_path = file.path.display();
        let zip = match ZipFile::open(&file.path, &self.zip_limits) {
            Ok(zip) => Arc::new(zip),
            Err(error) => {
                return give(Event::Passed {
                    name: shown_path.to_string(),
                    reason: format!("ZIP file: {error}"),
                    is_failure: true,
                });
            }
        };
        if zip.has_doubled_names()
            && !give(Event::Passed {
                name: shown_path.to_string(),
                reason: "ZIP file has several entries of one name: only the last is read".into(),
                is_failure: true,
            })
        {
            return false;
        }
        for event in missing_in_zip(&zip, &shown_path.to_string()) {
            if !give(event) {
                return false;
            }
        }
        for index in 0..zip.len() {
            let Some(entry) = zip.entry(index).filter(|entry| !entry.is_folder()) else {
                continue;
            };
            let candidate = Candidate {
                name: format!("{shown_path}!{}", entry.name),
                length: entry.length,
                key: Some(Key::of(
                    &file.path,
                    Some(&entry.name),
                    file.length,
                    file.modified,
                )),
                place: Place::ZipEntry {
                    zip: Arc::clone(&zip),
                    index,
                },
            };
            if !give(Event::Candidate(candidate)) {
                return false;
            }
        }
        true
    }
}

impl Origin for Search {
    /// The entries of ZIP files are counted as files.
    fn count(&self, found: &mut dyn FnMut(u64, u64) -> bool) {
        for file in self.walk().flatten() {
            let goes_on = if !is_zip_name(&file.path) {
                found(1, file.length)
            } else if let Ok(zip) = ZipFile::open(&file.path, &self.zip_limits) {
                let entries = (0..zip.len()).filter_map(|index| zip.entry(index));
                entries
                    .filter(|entry| !entry.is_folder())
                    .all(|entry| found(1, entry.length))
            } else {
                true
            };
            if !goes_on {
                return;
            }
        }
    }

    fn run(&self, give: &mut dyn FnMut(Event) -> bool) {
        for item in self.walk() {
            let goes_on = match item {
                Ok(file) if is_directory_name(&file.path) => {
                    missing_references(&file.path).into_iter().all(&mut *give)
                        && give(Event::Candidate(of_file(&file)))
                }
                Ok(file) if is_zip_name(&file.path) => self.zip_entries(&file, give),
                Ok(file) => give(Event::Candidate(of_file(&file))),
                Err(passed) => give(Event::Passed {
                    name: passed.path.display().to_string(),
                    is_failure: matches!(
                        passed.reason,
                        PassedReason::Unreadable(_) | PassedReason::TooDeep
                    ),
                    reason: passed.reason.to_string(),
                }),
            };
            if !goes_on {
                return;
            }
        }
    }
}

fn of_file(file: &FoundFile) -> Candidate {
    Candidate {
        name: file.path.display().to_string(),
        length: file.length,
        key: Some(Key::of(&file.path, None, file.length, file.modified)),
        place: Place::File(file.path.clone()),
    }
}

/// A DICOMDIR file stands for the medium that it is on.
fn medium_of(path: &Path) -> PathBuf {
    if !is_directory_name(path) || !path.is_file() {
        return path.to_owned();
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn is_directory_name(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| file_id::folded(name) == "DICOMDIR")
}

/// Only files with this name are taken for ZIP files: documents and programs are ZIP files too.
fn is_zip_name(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("zip"))
}

/// What the directory of a medium lists and the medium does not have.
fn missing_references(path: &Path) -> Vec<Event> {
    let name = path.display().to_string();
    let root = path.parent().unwrap_or(Path::new(""));
    let directory = match read_directory(path) {
        Ok(directory) => directory,
        Err(reason) => {
            return vec![Event::Passed {
                name,
                reason,
                is_failure: false,
            }];
        }
    };
    let missing = directory
        .files()
        .filter(|(_, file_id)| file_id.find_below(root).is_none());
    missing
        .map(|(_, file_id)| missing_event(&name, &file_id.to_string()))
        .collect()
}

fn missing_event(directory: &str, file_id: &str) -> Event {
    Event::Passed {
        name: format!("{directory}: {}", shown(file_id)),
        reason: "listed in DICOMDIR but not on the medium".into(),
        is_failure: true,
    }
}

fn read_directory(path: &Path) -> Result<Directory, String> {
    let file = File::open(path).map_err(unreadable)?;
    directory_from(&mut &file)
}

fn directory_from(source: &mut dyn Read) -> Result<Directory, String> {
    let mut bytes = Vec::new();
    source
        .take(directory::LENGTH_MAX)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Directory::read(Bytes::from(bytes)).map_err(|error| format!("DICOMDIR: {error}"))
}

/// As [`missing_references`], for a medium in a ZIP file.
fn missing_in_zip(zip: &ZipFile, zip_name: &str) -> Vec<Event> {
    let names: Vec<(usize, String)> = (0..zip.len())
        .filter_map(|index| {
            let entry = zip.entry(index).filter(|entry| !entry.is_folder())?;
            let folded = entry.name.replace('\\', "/");
            let folded: Vec<String> = folded.split('/').map(file_id::folded).collect();
            Some((index, folded.join("/")))
        })
        .collect();
    let known: HashSet<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
    let mut events = Vec::new();
    for (index, name) in &names {
        let Some(root) = name.strip_suffix("DICOMDIR") else {
            continue;
        };
        if !(root.is_empty() || root.ends_with('/')) {
            continue;
        }
        let mut zip = zip.clone();
        let Ok(mut entry) = zip.read(*index) else {
            continue;
        };
        match directory_from(&mut entry) {
            Ok(directory) => events.extend(
                directory
                    .files()
                    .filter(|(_, id)| !known.contains(format!("{root}{}", id.folded()).as_str()))
                    .map(|(_, id)| missing_event(zip_name, &id.to_string())),
            ),
            Err(reason) => {
                let name = zip_name.to_owned();
                events.push(Event::Passed {
                    name,
                    reason,
                    is_failure: false,
                });
            }
        }
    }
    events
}

/// The start of a file and what it says the file is.
pub struct Opened {
    /// What it is.
    pub content: Content,
    /// The bytes that were read to find out; the rest is still in the source.
    pub head: Vec<u8>,
}

/// Reads as much of a file as it takes to tell what it is.
pub fn open(source: &mut dyn Read) -> io::Result<Opened> {
    let mut head = Vec::with_capacity(HEAD);
    let mut wanted = HEAD;
    loop {
        let missing = wanted.saturating_sub(head.len()) as u64;
        source.take(missing).read_to_end(&mut head)?;
        let is_whole = head.len() < wanted;
        match content::look(&head, is_whole) {
            Look::Is(content) => return Ok(Opened { content, head }),
            Look::NeedMore(needed) => wanted = needed.max(wanted + 1),
        }
    }
}

/// Opens a file in which there should be an instance.
pub fn open_instance(source: &mut dyn Read) -> Result<(Box<FileMeta>, Vec<u8>), Outcome> {
    let Opened { content, head } =
        open(source).map_err(|error| Outcome::Failed(format!("cannot be read: {error}")))?;
    match content {
        Content::Instance(meta) => Ok((meta, head)),
        Content::Directory => Err(Outcome::Skipped("DICOM directory".into())),
        Content::Other(other) => Err(Outcome::Skipped(other.to_string())),
        Content::Damaged(error) => Err(Outcome::Failed(error.to_string())),
    }
}

/// SOP Class UID and SOP Instance UID as the data set itself says them: the meta information may
/// be wrong. `head` holds the start of the file; more of it may be read from `source` and is
/// appended.
pub fn identifiers(
    meta: &FileMeta,
    head: &mut Vec<u8>,
    source: &mut dyn Read,
) -> Result<(Uid, Uid), Outcome> {
    let (mut class, mut instance) = identifiers_in(meta, head);
    if class.is_none() || instance.is_none() {
        // Behind a long element, or in a head that was cut in the middle of it.
        source
            .take(IDENTIFIERS_WITHIN)
            .read_to_end(head)
            .map_err(|error| Outcome::Failed(format!("cannot be read: {error}")))?;
        (class, instance) = identifiers_in(meta, head);
    }
    let uid = |found: Option<Uid>, of_meta: Option<String>, name: &str| {
        found
            .or_else(|| Uid::parse_lenient(&of_meta?).ok())
            .ok_or_else(|| Outcome::Failed(format!("no {name}")))
    };
    Ok((
        uid(class, meta.sop_class(), "SOP Class UID")?,
        uid(instance, meta.sop_instance(), "SOP Instance UID")?,
    ))
}

fn identifiers_in(meta: &FileMeta, head: &[u8]) -> (Option<Uid>, Option<Uid>) {
    let syntax = TransferSyntax::of(meta.transfer_syntax());
    if syntax.is_deflated {
        return (None, None);
    }
    let encoding = meta.guessed_encoding.unwrap_or(syntax.encoding);
    let start = usize::try_from(meta.data_set_offset).unwrap_or(usize::MAX);
    let data_set = Bytes::copy_from_slice(head.get(start..).unwrap_or_default());
    let (elements, _) = encoding::parse_prefix(data_set, encoding, &encoding::Limits::default());
    (
        elements.uid(tags::SOP_CLASS_UID),
        elements.uid(tags::SOP_INSTANCE_UID),
    )
}

/// Reads until the buffer is full or the file ends.
pub fn read_full(file: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_media::zip_file::{Compression, ZipFileWriter};
    use std::io::Write;

    const BARE: &[u8] = b"\x08\0\x16\0UI\x02\x001\0\x08\0\x18\0UI\x02\x002\0";

    fn search(path: &Path) -> Search {
        Search {
            paths: vec![path.to_owned()],
            without: None,
            zip_limits: Limits::default(),
        }
    }

    fn names(search: &Search) -> (Vec<String>, Vec<String>) {
        let (mut candidates, mut passed) = (Vec::new(), Vec::new());
        search.run(&mut |event| {
            match event {
                Event::Candidate(candidate) => {
                    let name = candidate.name.rsplit('/').next().unwrap_or_default();
                    candidates.push(name.to_owned());
                }
                Event::Passed { reason, .. } => passed.push(reason),
            }
            true
        });
        (candidates, passed)
    }

    #[test]
    fn entries_of_zip_files_are_candidates_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut zip = ZipFileWriter::create(&folder.path().join("x.ZIP")).unwrap();
        zip.start("one", Compression::Deflated).unwrap();
        zip.write_all(BARE).unwrap();
        zip.finish().unwrap();
        std::fs::write(folder.path().join("broken.zip"), b"PK").unwrap();
        let search = search(folder.path());
        let (candidates, passed) = names(&search);
        assert_eq!(candidates, ["x.ZIP!one"]);
        assert!(passed[0].starts_with("ZIP file: "), "{passed:?}");
        let mut total = (0, 0);
        search.count(&mut |items, bytes| {
            total = (total.0 + items, total.1 + bytes);
            true
        });
        assert_eq!(total, (1, BARE.len() as u64));
        search.run(&mut |event| {
            if let Event::Candidate(candidate) = event {
                let opened = candidate.read(|source| open(source).unwrap()).unwrap();
                assert_eq!(opened.head, BARE);
                assert!(matches!(opened.content, Content::Instance(_)));
            }
            true
        });
    }

    #[test]
    fn identifiers_come_from_the_data_set() {
        let source = &mut &BARE[..];
        let (meta, mut head) = open_instance(source).unwrap();
        let (class, instance) = identifiers(&meta, &mut head, source).unwrap();
        assert_eq!((class.as_str(), instance.as_str()), ("1", "2"));
        let no_instance = &mut &BARE[..10];
        let (meta, mut head) = open_instance(no_instance).unwrap();
        assert_eq!(
            identifiers(&meta, &mut head, no_instance),
            Err(Outcome::Failed("no SOP Instance UID".into()))
        );
        let outcome = open_instance(&mut &b""[..]).map(|_| ());
        assert_eq!(outcome, Err(Outcome::Skipped("empty file".into())));
    }

    #[test]
    fn a_directory_stands_for_its_medium_and_missing_files_are_told() {
        use gantry_dicom::data_set::DataSet;
        use gantry_dicom::{tags, uids};
        let mut header = DataSet::new();
        header.put_uid(tags::SOP_CLASS_UID, uids::CT_IMAGE_STORAGE);
        for (tag, uid) in [
            (tags::SOP_INSTANCE_UID, "1.1"),
            (tags::STUDY_INSTANCE_UID, "1.2"),
            (tags::SERIES_INSTANCE_UID, "1.3"),
        ] {
            header.put_uid(tag, uid);
        }
        let mut file_set = gantry_media::file_set::FileSet::new("X").unwrap();
        file_set
            .add(&header, uids::EXPLICIT_VR_LITTLE_ENDIAN)
            .unwrap();
        let uid = Uid::parse("1.2.3").unwrap();
        let dicomdir = file_set.to_dicomdir(&uid).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("dicomdir"), &dicomdir).unwrap();
        std::fs::write(folder.path().join("unlisted"), BARE).unwrap();
        let mut zip = ZipFileWriter::create(&folder.path().join("z.zip")).unwrap();
        zip.start("disc/DICOMDIR", Compression::Stored).unwrap();
        zip.write_all(&dicomdir).unwrap();
        zip.start(
            "disc/pt000000/ST000000/SE000000/IM000000",
            Compression::Stored,
        )
        .unwrap();
        zip.write_all(BARE).unwrap();
        zip.finish().unwrap();
        let (candidates, passed) = names(&search(&folder.path().join("dicomdir")));
        assert_eq!(candidates, ["dicomdir", "unlisted", "DICOMDIR", "IM000000"]);
        assert_eq!(
            passed,
            ["listed in DICOMDIR but not on the medium"],
            "only on the disc"
        );
    }
}
