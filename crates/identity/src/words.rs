//! Grants in words, for the people they are about.

use gantry_core::access::{Grant, Scope};

/// What a grant allows, in a sentence.
pub fn describe(grant: &Grant) -> String {
    let rights: Vec<&str> = grant.rights.iter().map(|right| right.as_str()).collect();
    let rights = match rights.as_slice() {
        [] => return "Nothing.".into(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    };
    let mut text = format!("May {rights}: {}", studies(&grant.scope));
    if grant.until.is_some() {
        text.push_str(", for a limited time");
    }
    text.push_str(&format!(" ({}).", grant.source));
    text
}

fn studies(scope: &Scope) -> String {
    let Scope {
        sites,
        departments,
        modalities,
        patients,
        labels,
        studies,
        own_names,
        includes_restricted,
    } = scope;
    let mut conditions = Vec::new();
    let mut any_of = |what: &str, values: &[String]| {
        if !values.is_empty() {
            conditions.push(format!("{what} {}", values.join(" or ")));
        }
    };
    any_of("of the site", sites);
    any_of("of the department", departments);
    any_of("with the modality", modalities);
    any_of("with the label", labels);
    any_of("referred, requested or performed by", own_names);
    if !patients.is_empty() {
        conditions.push(format!("of {} named patients", patients.len()));
    }
    if !studies.is_empty() {
        conditions.push(format!("among {} named studies", studies.len()));
    }
    let which = match (conditions.is_empty(), includes_restricted) {
        (true, true) => return "every study, restricted ones too".into(),
        (true, false) => return "every study that is not restricted".into(),
        (false, true) => "restricted ones too",
        (false, false) => "without restricted ones",
    };
    format!("studies {}, {which}", conditions.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_core::access::{Right, Rights};

    #[test]
    fn grants_read_like_sentences() {
        let grant = Grant {
            rights: Rights::of(&[Right::View, Right::Download, Right::Share]),
            scope: Scope {
                sites: vec!["North".into(), "South".into()],
                modalities: vec!["CT".into()],
                ..Scope::default()
            },
            until: Some(5),
            source: "role night".into(),
        };
        assert_eq!(
            describe(&grant),
            "May view, download and share: studies of the site North or South, with the modality \
             CT, without restricted ones, for a limited time (role night)."
        );
        let all = Grant {
            rights: Rights::of(&[Right::View]),
            scope: Scope::everything(),
            until: None,
            source: "demo".into(),
        };
        assert_eq!(
            describe(&all),
            "May view: every study, restricted ones too (demo)."
        );
    }
}
