//! Which presentation contexts to propose so that instances can come as they are stored.

use crate::commands::scu::{self, Model};
use gantry_core::uid::Uid;
use gantry_dicom::transfer_syntax::{self, PixelForm, TransferSyntax};
use gantry_dicom::{sop_class, uids};

/// Presentation contexts of an association, without the one for C-GET itself.
const STORAGE_CONTEXTS_MAX: usize = 127;

/// SOP classes proposed first when nothing is known of what will come.
const USUAL: [&str; 24] = [
    uids::CT_IMAGE_STORAGE,
    uids::MR_IMAGE_STORAGE,
    uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE,
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::BREAST_TOMOSYNTHESIS_IMAGE_STORAGE,
    uids::ULTRASOUND_IMAGE_STORAGE,
    uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE,
    uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE,
    uids::NUCLEAR_MEDICINE_IMAGE_STORAGE,
    uids::X_RAY_ANGIOGRAPHIC_IMAGE_STORAGE,
    uids::X_RAY_RADIOFLUOROSCOPIC_IMAGE_STORAGE,
    uids::ENHANCED_CT_IMAGE_STORAGE,
    uids::ENHANCED_MR_IMAGE_STORAGE,
    uids::SEGMENTATION_STORAGE,
    uids::GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE,
    uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE,
    uids::BASIC_TEXT_SR_STORAGE,
    uids::ENHANCED_SR_STORAGE,
    uids::COMPREHENSIVE_SR_STORAGE,
    uids::X_RAY_RADIATION_DOSE_SR_STORAGE,
    uids::ENCAPSULATED_PDF_STORAGE,
    uids::VL_PHOTOGRAPHIC_IMAGE_STORAGE,
];

type Context = (Uid, Vec<Uid>);

/// The context for C-GET, and those for storage: for each SOP class one with the native transfer
/// syntaxes, and as long as there is room one for each compressed one, so that the peer need not
/// choose among them.
pub fn proposed(
    model: Model,
    sop_classes: &[Uid],
    transfer_syntaxes: &[Uid],
) -> anyhow::Result<(Context, Vec<Context>)> {
    let get = scu::plain_context(model.get())?;
    let classes = match sop_classes.is_empty() {
        true => unknown_classes()?,
        false => sop_classes.to_vec(),
    };
    let (native, compressed) = syntaxes(transfer_syntaxes)?;
    let mut contexts: Vec<Context> = Vec::new();
    if !native.is_empty() {
        contexts.extend(classes.iter().map(|class| (class.clone(), native.clone())));
    }
    for syntax in &compressed {
        contexts.extend(
            classes
                .iter()
                .map(|class| (class.clone(), vec![syntax.clone()])),
        );
    }
    contexts.truncate(STORAGE_CONTEXTS_MAX);
    Ok((get, contexts))
}

/// All storage SOP classes, the usual ones first, as many as leave room for some compression.
fn unknown_classes() -> anyhow::Result<Vec<Uid>> {
    let others = sop_class::storage()
        .filter(|class| !class.is_retired)
        .map(|class| class.uid);
    let mut classes: Vec<Uid> = Vec::new();
    for class in USUAL.into_iter().chain(others) {
        let class = scu::uid(class)?;
        if !classes.contains(&class) {
            classes.push(class);
        }
    }
    classes.truncate(STORAGE_CONTEXTS_MAX);
    Ok(classes)
}

/// Native transfer syntaxes, and the others, each in the order of preference.
fn syntaxes(wanted: &[Uid]) -> anyhow::Result<(Vec<Uid>, Vec<Uid>)> {
    let is_native =
        |syntax: &TransferSyntax| syntax.pixels == PixelForm::Native && !syntax.is_deflated;
    if !wanted.is_empty() {
        let is_native = |uid: &&Uid| is_native(&TransferSyntax::of(uid.as_str()));
        return Ok(wanted.iter().cloned().partition(|uid| is_native(&uid)));
    }
    let mut native = vec![
        scu::uid(uids::EXPLICIT_VR_LITTLE_ENDIAN)?,
        scu::uid(uids::IMPLICIT_VR_LITTLE_ENDIAN)?,
    ];
    let mut compressed = Vec::new();
    for syntax in transfer_syntax::all() {
        let uid = scu::uid(&syntax.uid)?;
        match is_native(syntax) {
            true if !native.contains(&uid) && !syntax.is_retired => native.push(uid),
            true => {}
            false if syntax.pixels == PixelForm::Encapsulated && !syntax.is_retired => {
                compressed.push(uid);
            }
            false => {}
        }
    }
    Ok((native, compressed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_classes_have_room_for_compressed_syntaxes() {
        let ct = Uid::parse(uids::CT_IMAGE_STORAGE).unwrap();
        let (get, storage) = proposed(Model::Study, std::slice::from_ref(&ct), &[]).unwrap();
        assert_eq!(
            get.0.as_str(),
            uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET
        );
        assert_eq!(storage[0].1[0].as_str(), uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let singles: Vec<&str> = storage[1..].iter().map(|(_, s)| s[0].as_str()).collect();
        assert!(
            singles.contains(&uids::JPEG2000_LOSSLESS) && singles.contains(&uids::RLE_LOSSLESS)
        );
        assert!(
            storage[1..]
                .iter()
                .all(|(class, s)| *class == ct && s.len() == 1)
        );
    }

    #[test]
    fn nothing_known_still_fits_an_association() {
        let (_, storage) = proposed(Model::Patient, &[], &[]).unwrap();
        assert!(storage.len() <= STORAGE_CONTEXTS_MAX);
        assert!(
            storage
                .iter()
                .any(|(class, _)| class.as_str() == uids::CT_IMAGE_STORAGE)
        );
    }

    #[test]
    fn wanted_syntaxes_are_the_only_ones() {
        let uid = |text| Uid::parse(text).unwrap();
        let wanted = [uid(uids::JPEG2000_LOSSLESS)];
        let (_, storage) = proposed(Model::Study, &[uid("1.2")], &wanted).unwrap();
        assert_eq!(storage, [(uid("1.2"), wanted.to_vec())]);
    }
}
