//! Queries of the URI service (PS3.18 9.1.2): read within their limits, or refused.
#![no_main]

use gantry_dicom::data_set::DataSet;
use gantry_dicom::tags;
use gantry_serve_http::query_string::QueryString;
use gantry_serve_http::wado_uri_parameters::Parameters;
use libfuzzer_sys::fuzz_target;

const PIXELS_MAX: u32 = 4096;

fuzz_target!(|input: (u16, u16, &str)| {
    let (rows, columns, text) = input;
    // What every request has, so that the rest is reached.
    let whole = format!("requestType=WADO&studyUID=1&seriesUID=2&objectUID=3&{text}");
    for text in [text, &whole] {
        let Ok(query) = QueryString::parse(Some(text)) else {
            continue;
        };
        let parameters = match Parameters::parse(&query, PIXELS_MAX) {
            Ok(parameters) => parameters,
            Err(problem) => {
                assert!(matches!(problem.status().as_u16(), 400 | 501));
                continue;
            }
        };
        let mut header = DataSet::new();
        header.put_u16(tags::ROWS, rows);
        header.put_u16(tags::COLUMNS, columns);
        let _ = parameters.rendering(None);
        let Ok(Some(viewport)) = parameters.viewport(&header) else {
            continue;
        };
        assert!(viewport.width > 0 && viewport.height > 0);
        for fraction in [viewport.x, viewport.y, viewport.region_width, viewport.region_height] {
            assert!(fraction.is_none_or(|number| number.is_finite() && number >= 0.0));
        }
    }
});
