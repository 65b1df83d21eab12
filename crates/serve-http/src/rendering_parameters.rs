//! The query parameters of rendered resources (PS3.18 8.3.5).

use crate::problem::Problem;
use crate::query_string::QueryString;
use gantry_codec::render::presentation::{VoiFunction, Window};
use gantry_codec::render::{IccOutput, Viewport};

/// What the query asks of a rendering.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderingParameters {
    /// `window`: overrides what the object says.
    pub window: Option<Window>,
    /// `viewport`.
    pub viewport: Option<Viewport>,
    /// `quality`, 1 to 100.
    pub quality: Option<u8>,
    /// `annotation`.
    pub annotation: Annotation,
    /// `iccprofile`.
    pub icc: IccOutput,
}

/// What is burnt in as text (PS3.18 8.3.5.1.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Annotation {
    /// Who the patient is.
    pub patient: bool,
    /// How the image was made.
    pub technique: bool,
}

impl RenderingParameters {
    /// Reads the parameters of a rendered resource. `pixels_max` bounds width and height.
    ///
    /// # Errors
    /// 400 for a value that the standard does not allow.
    pub fn parse(query: &QueryString, pixels_max: u32) -> Result<Self, Problem> {
        Ok(Self {
            window: query.single("window")?.map(window).transpose()?,
            viewport: query
                .single("viewport")?
                .map(|text| viewport(text, pixels_max))
                .transpose()?,
            quality: query.single("quality")?.map(quality).transpose()?,
            annotation: query
                .single("annotation")?
                .map(annotation)
                .transpose()?
                .unwrap_or_default(),
            icc: query
                .single("iccprofile")?
                .map(icc)
                .transpose()?
                .unwrap_or(IccOutput::Srgb),
        })
    }

    /// Reads what a thumbnail allows: `viewport` with a size only (PS3.18 8.3.5.2).
    ///
    /// # Errors
    /// 400 for a malformed viewport.
    pub fn parse_thumbnail(query: &QueryString, pixels_max: u32) -> Result<(u32, u32), Problem> {
        let Some(text) = query.single("viewport")? else {
            return Ok((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS));
        };
        let viewport = viewport(text, pixels_max)?;
        Ok((viewport.width, viewport.height))
    }
}

/// Width and height of a thumbnail that asks for none.
const THUMBNAIL_PIXELS: u32 = 128;

/// `center,width,function` (PS3.18 8.3.5.1.4). The function may be left out, as many clients do.
fn window(text: &str) -> Result<Window, Problem> {
    let wrong = || Problem::bad_request("window is not of the form center,width,function");
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let (center, width, function) = match parts.as_slice() {
        [center, width] => (center, width, &"linear"),
        [center, width, function] => (center, width, function),
        _ => return Err(wrong()),
    };
    let function = match function.to_ascii_lowercase().as_str() {
        "linear" => VoiFunction::Linear,
        "linear-exact" => VoiFunction::LinearExact,
        "sigmoid" => VoiFunction::Sigmoid,
        _ => return Err(Problem::bad_request("window function is not known")),
    };
    let center = finite(center).ok_or_else(wrong)?;
    let width = finite(width).ok_or_else(wrong)?;
    build_window(center, width, function)
}

/// A window whose width the function allows (PS3.3 C.11.2.1.2.1, C.11.2.1.3).
///
/// # Errors
/// 400 for a width that is too small.
pub fn build_window(center: f64, width: f64, function: VoiFunction) -> Result<Window, Problem> {
    let is_wide_enough = match function {
        VoiFunction::Linear => width >= 1.0,
        VoiFunction::LinearExact | VoiFunction::Sigmoid => width > 0.0,
    };
    if !is_wide_enough {
        return Err(Problem::bad_request("window width is too small"));
    }
    Ok(Window {
        center,
        width,
        function,
    })
}

/// `vw,vh` or `vw,vh,sx,sy,sw,sh`, of which the last four may be empty (PS3.18 8.3.5.1.3).
fn viewport(text: &str, pixels_max: u32) -> Result<Viewport, Problem> {
    let wrong = || Problem::bad_request("viewport is not of the form vw,vh[,sx,sy,sw,sh]");
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let size = |text: &str| {
        let pixels: u32 = text.parse().map_err(|_| wrong())?;
        if pixels == 0 || pixels > pixels_max {
            return Err(Problem::bad_request(format!(
                "viewport width and height lie between 1 and {pixels_max}"
            )));
        }
        Ok(pixels)
    };
    let optional = |text: &str| {
        if text.is_empty() {
            Ok(None)
        } else {
            finite(text).map(Some).ok_or_else(wrong)
        }
    };
    match parts.as_slice() {
        [width, height] => Ok(Viewport {
            width: size(width)?,
            height: size(height)?,
            x: None,
            y: None,
            region_width: None,
            region_height: None,
        }),
        [width, height, x, y, region_width, region_height] => {
            let viewport = Viewport {
                width: size(width)?,
                height: size(height)?,
                x: optional(x)?,
                y: optional(y)?,
                region_width: optional(region_width)?,
                region_height: optional(region_height)?,
            };
            let is_empty = |length: Option<f64>| length == Some(0.0);
            if is_empty(viewport.region_width) || is_empty(viewport.region_height) {
                return Err(Problem::bad_request("viewport region is empty"));
            }
            Ok(viewport)
        }
        _ => Err(wrong()),
    }
}

fn quality(text: &str) -> Result<u8, Problem> {
    match text.trim().parse::<u8>() {
        Ok(quality @ 1..=100) => Ok(quality),
        _ => Err(Problem::bad_request(
            "quality is not an integer from 1 to 100",
        )),
    }
}

/// Reads the words of an annotation parameter (PS3.18 8.3.5.1.1, 9.1.2.3.1).
pub fn annotation(text: &str) -> Result<Annotation, Problem> {
    let mut annotation = Annotation::default();
    for word in text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        match word {
            "patient" => annotation.patient = true,
            "technique" => annotation.technique = true,
            _ => {
                return Err(Problem::bad_request(
                    "annotation is neither patient nor technique",
                ));
            }
        }
    }
    Ok(annotation)
}

fn icc(text: &str) -> Result<IccOutput, Problem> {
    match text.trim().to_ascii_lowercase().as_str() {
        "no" => Ok(IccOutput::No),
        "yes" => Ok(IccOutput::Yes),
        "srgb" => Ok(IccOutput::Srgb),
        "adobergb" => Ok(IccOutput::AdobeRgb),
        "rommrgb" => Ok(IccOutput::RommRgb),
        "displayp3" => Ok(IccOutput::DisplayP3),
        _ => Err(Problem::bad_request("iccprofile is not known")),
    }
}

fn finite(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(query: &str) -> Result<RenderingParameters, Problem> {
        RenderingParameters::parse(&QueryString::parse(Some(query)).unwrap(), 4096)
    }

    #[test]
    fn all_parameters_are_read() {
        let found = parse(
            "window=40,400,linear-exact&viewport=512,256,10,,-100,50.5&quality=75&\
             annotation=patient,technique&iccprofile=adobergb",
        );
        assert_eq!(
            found.unwrap(),
            RenderingParameters {
                window: Some(Window {
                    center: 40.0,
                    width: 400.0,
                    function: VoiFunction::LinearExact
                }),
                viewport: Some(Viewport {
                    width: 512,
                    height: 256,
                    x: Some(10.0),
                    y: None,
                    region_width: Some(-100.0),
                    region_height: Some(50.5),
                }),
                quality: Some(75),
                annotation: Annotation {
                    patient: true,
                    technique: true
                },
                icc: IccOutput::AdobeRgb,
            }
        );
    }

    #[test]
    fn nothing_asked_leaves_it_to_the_object() {
        let found = parse("accept=image/png").unwrap();
        assert_eq!(
            (found.window, found.viewport, found.quality),
            (None, None, None)
        );
        assert_eq!(found.icc, IccOutput::Srgb);
    }

    #[test]
    fn wrong_values_are_bad_requests() {
        for query in [
            "window=40",
            "window=40,x,linear",
            "window=40,400,square",
            "window=40,0,linear",
            "window=40,0.5,linear",
            "window=40,0,sigmoid",
            "window=NaN,400,linear",
            "viewport=0,10",
            "viewport=10",
            "viewport=10,5000",
            "viewport=10,10,0,0,0,10",
            "viewport=10,10,1,2,3",
            "viewport=-10,10",
            "viewport=10,10,inf,0,1,1",
            "quality=0",
            "quality=101",
            "quality=high",
            "annotation=name",
            "iccprofile=maybe",
            "quality=1&quality=2",
        ] {
            assert_eq!(parse(query).unwrap_err().status(), 400, "{query}");
        }
    }

    #[test]
    fn thumbnails_have_a_size_only() {
        let size = |query| {
            RenderingParameters::parse_thumbnail(&QueryString::parse(Some(query)).unwrap(), 4096)
        };
        assert_eq!(size("viewport=256,200").unwrap(), (256, 200));
        assert_eq!(size("").unwrap(), (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS));
        assert!(size("viewport=x").is_err());
    }

    proptest! {
        #[test]
        fn any_parameters_are_read_without_panic(
            query in "(window|viewport|quality)=[-0-9.,a-zNI+]{0,30}"
        ) {
            if let Ok(found) = parse(&query)
                && let Some(viewport) = found.viewport
            {
                prop_assert!((1..=4096).contains(&viewport.width));
            }
        }
    }
}
