//! Retrieve capabilities (PS3.18 8.9, annex H): a WADL document, as XML or JSON.

use crate::accept::Offer;
use crate::context::{Asked, DICOM_WEB};
use crate::markup::escape;
use crate::problem::Problem;
use crate::reply;
use crate::routes::Operation;
use axum::Extension;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::ALLOW;
use axum::response::Response;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;

const OFFERS: &[Offer] = &[
    Offer::single("application/vnd.sun.wadl+xml"),
    Offer::single("application/json"),
    Offer::single("application/dicom+json"),
];

/// The table of routes, for handlers that describe it.
#[derive(Debug, Clone)]
pub struct Table(pub Arc<[Operation]>);

/// `OPTIONS /dicom-web`, and GET for clients that cannot send that.
pub async fn retrieve(
    Extension(table): Extension<Table>,
    asked: Asked,
) -> Result<Response, Problem> {
    let offer = asked.best(OFFERS)?;
    let operations = table
        .0
        .iter()
        .filter(|operation| operation.path.starts_with(DICOM_WEB));
    let operations: Vec<&Operation> = operations
        .filter(|operation| !is_of_base(operation))
        .collect();
    let base = asked.dicom_web_url();
    let body = if offer.media_type.ends_with("xml") {
        wadl(&base, &operations)
    } else {
        as_json(&base, &operations).to_string()
    };
    let mut response = reply::with_body(offer.media_type, Body::from(body));
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    Ok(response)
}

/// Whether it is this operation itself.
fn is_of_base(operation: &Operation) -> bool {
    relative(operation.path).is_empty()
}

/// Operations of one path, in the order of the table.
fn by_path<'a>(operations: &[&'a Operation]) -> Vec<(&'static str, Vec<&'a Operation>)> {
    let mut paths: Vec<(&'static str, Vec<&'a Operation>)> = Vec::new();
    for operation in operations {
        match paths.iter_mut().find(|(path, _)| *path == operation.path) {
            Some((_, of_path)) => of_path.push(operation),
            None => paths.push((operation.path, vec![operation])),
        }
    }
    paths
}

fn relative(path: &str) -> String {
    path.trim_start_matches(DICOM_WEB)
        .trim_start_matches('/')
        .replace("{*", "{")
}

fn wadl(base: &str, operations: &[&Operation]) -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <application xmlns=\"http://wadl.dev.java.net/2009/02\">\n",
    );
    let _ = writeln!(xml, " <resources base=\"{}\">", escape(base));
    for (path, of_path) in by_path(operations) {
        let _ = writeln!(xml, "  <resource path=\"{}\">", escape(&relative(path)));
        for operation in of_path {
            write_method(&mut xml, operation);
        }
        xml.push_str("  </resource>\n");
    }
    xml.push_str(" </resources>\n</application>\n");
    xml
}

fn write_method(xml: &mut String, operation: &Operation) {
    let (name, id) = (operation.method.as_str(), operation.id);
    let _ = writeln!(xml, "   <method name=\"{name}\" id=\"{id}\">");
    xml.push_str("    <request>\n");
    if let Some(default) = operation.produces.first() {
        let default = escape(default);
        let _ = writeln!(
            xml,
            "     <param name=\"Accept\" style=\"header\" default=\"{default}\">"
        );
        for option in operation.produces {
            let _ = writeln!(xml, "      <option value=\"{}\"/>", escape(option));
        }
        xml.push_str("     </param>\n");
    }
    for parameter in operation.query {
        let name = parameter.name;
        let _ = writeln!(xml, "     <param name=\"{name}\" style=\"query\"/>");
    }
    for consumed in operation.consumes {
        let _ = writeln!(
            xml,
            "     <representation mediaType=\"{}\"/>",
            escape(consumed)
        );
    }
    xml.push_str("    </request>\n");
    for status in operation.statuses {
        let _ = write!(xml, "    <response status=\"{status}\"");
        if *status != 200 || operation.produces.is_empty() {
            xml.push_str("/>\n");
            continue;
        }
        xml.push_str(">\n");
        for produced in operation.produces {
            let _ = writeln!(
                xml,
                "     <representation mediaType=\"{}\"/>",
                escape(produced)
            );
        }
        xml.push_str("    </response>\n");
    }
    xml.push_str("   </method>\n");
}

fn as_json(base: &str, operations: &[&Operation]) -> Value {
    let resources: Vec<Value> = by_path(operations)
        .into_iter()
        .map(|(path, of_path)| {
            let methods: Vec<Value> = of_path
                .into_iter()
                .map(|operation| {
                    json!({
                        "name": operation.method.as_str(),
                        "id": operation.id,
                        "accept": operation.produces,
                        "content": operation.consumes,
                        "query": operation.query.iter().map(|one| one.name).collect::<Vec<_>>(),
                        "status": operation.statuses,
                    })
                })
                .collect();
            json!({ "path": relative(path), "methods": methods })
        })
        .collect();
    json!({ "application": { "resources": { "base": base, "resource": resources } } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route_table;

    fn table() -> Vec<Operation> {
        route_table::routes().into_parts().1
    }

    #[test]
    fn every_dicomweb_operation_is_described() {
        let table = table();
        let operations: Vec<&Operation> = table
            .iter()
            .filter(|operation| operation.path.starts_with(DICOM_WEB))
            .collect();
        let xml = wadl("http://pacs/dicom-web", &operations);
        for operation in &operations {
            assert!(
                xml.contains(&format!("id=\"{}\"", operation.id)),
                "{}",
                operation.id
            );
        }
        assert!(xml.contains("<resources base=\"http://pacs/dicom-web\">"));
        assert!(xml.contains("<resource path=\"studies/{study}/series/{series}/metadata\">"));
        assert!(xml.contains("default=\"multipart/related; type=&quot;application/dicom&quot;\""));
        let opened = xml.matches("<resource ").count();
        assert_eq!(opened, xml.matches("</resource>").count());
        let described = as_json("x", &operations);
        let listed = described["application"]["resources"]["resource"]
            .as_array()
            .unwrap()
            .len();
        assert_eq!(listed, opened);
    }
}
