//! Queries of Search transactions (PS3.18 8.3.4): read within their limits, or refused with 400.
#![no_main]

use gantry_serve_http::qido_parameters::SearchParameters;
use gantry_serve_http::query_string::QueryString;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let query = match QueryString::parse(Some(text)) {
        Ok(query) => query,
        Err(problem) => return assert_eq!(problem.status(), 400),
    };
    match SearchParameters::parse(&query) {
        Err(problem) => assert_eq!(problem.status(), 400),
        Ok(parameters) => {
            assert!(parameters.matches.len() + parameters.include.len() <= 257);
            for one in &parameters.matches {
                assert!((1..=9).contains(&one.path.len()));
            }
            for (at, one) in parameters.matches.iter().enumerate() {
                let before = &parameters.matches[..at];
                assert!(before.iter().all(|other| other.path != one.path));
            }
        }
    }
});
