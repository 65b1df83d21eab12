//! SOP Classes (PS3.6 A, PS3.4 B.5).

mod table;

use table::SOP_CLASSES;

/// A SOP Class or a Meta SOP Class of the standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SopClass {
    /// The UID.
    pub uid: &'static str,
    /// The name, without "(Retired)".
    pub name: &'static str,
    /// The keyword.
    pub keyword: &'static str,
    /// Whether the standard retired it.
    pub is_retired: bool,
    /// Whether it is a Meta SOP Class.
    pub is_meta: bool,
}

impl SopClass {
    /// Whether instances of it are composite objects that C-STORE can send. The Media Storage
    /// Directory is none: it exists on media only (PS3.4 I.2).
    pub fn is_storage(&self) -> bool {
        self.keyword.contains("Storage")
            && !self.keyword.starts_with("StorageCommitment")
            && self.keyword != "MediaStorageDirectoryStorage"
    }
}

/// The SOP Class with this UID.
pub fn lookup(uid: &str) -> Option<&'static SopClass> {
    let at = SOP_CLASSES
        .binary_search_by(|class| class.uid.cmp(uid))
        .ok()?;
    SOP_CLASSES.get(at)
}

/// The name of a SOP Class of the standard.
pub fn name(uid: &str) -> Option<&'static str> {
    lookup(uid).map(|class| class.name)
}

/// All SOP Classes of the standard, in the order of their UIDs as text.
pub fn all() -> &'static [SopClass] {
    SOP_CLASSES
}

/// The storage SOP Classes, retired ones too.
pub fn storage() -> impl Iterator<Item = &'static SopClass> {
    SOP_CLASSES.iter().filter(|class| class.is_storage())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::dictionary::UidDictionary;
    use dicom_dictionary_std::StandardSopClassDictionary;

    #[test]
    fn rows_are_sorted_and_agree_with_the_standard_dictionary() {
        assert!(all().is_sorted_by(|one, next| one.uid < next.uid));
        for class in all().iter().filter(|class| !class.is_meta) {
            let standard = StandardSopClassDictionary.by_uid(class.uid).unwrap();
            assert_eq!(standard.alias, class.keyword);
            assert_eq!(standard.retired, class.is_retired);
        }
    }

    #[test]
    fn storage_classes_are_those_that_c_store_can_send() {
        let is_storage = |uid| lookup(uid).unwrap().is_storage();
        assert!(is_storage("1.2.840.10008.5.1.4.1.1.2"));
        assert!(is_storage("1.2.840.10008.5.1.4.1.1.104.1"));
        assert!(is_storage("1.2.840.10008.5.1.4.38.1"));
        assert!(is_storage("1.2.840.10008.5.1.4.1.1.3"), "retired");
        assert!(!is_storage("1.2.840.10008.1.20.1"));
        assert!(!is_storage("1.2.840.10008.1.3.10"));
        assert!(!is_storage("1.2.840.10008.5.1.4.1.2.1.1"));
        assert!(storage().count() > 180, "{}", storage().count());
        assert_eq!(name("1.2.840.10008.5.1.4.1.1.2"), Some("CT Image Storage"));
        assert_eq!(name("1.2.3"), None);
    }
}
