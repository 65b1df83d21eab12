//! What a route is. A route cannot be served without being described: the router, the OpenAPI
//! document and the capabilities description are all made of one [table](crate::route_table).

use crate::context::Context;
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};

/// What one method of one path does.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// HEAD goes with GET.
    pub method: Method,
    /// The path as axum writes it: `/studies/{study}`, `/bulkdata/{*path}`.
    pub path: &'static str,
    /// A name that is used once.
    pub id: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Query parameters.
    pub query: &'static [QueryParameter],
    /// Media types of the request's body; empty without one.
    pub consumes: &'static [&'static str],
    /// Media types of a successful answer; empty without a body.
    pub produces: &'static [&'static str],
    /// Status codes it may answer with.
    pub statuses: &'static [u16],
    /// Whether it answers those who have not logged in.
    pub is_public: bool,
}

impl Operation {
    const fn new(
        method: Method,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            method,
            path,
            id,
            summary,
            query: &[],
            consumes: &[],
            produces: &[],
            statuses: &[200],
            is_public: false,
        }
    }

    /// An operation of GET that answers 200 without a body, as long as nothing else is said.
    pub const fn get(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(Method::Get, path, id, summary)
    }

    /// As [`Self::get`], of POST.
    pub const fn post(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(Method::Post, path, id, summary)
    }

    /// As [`Self::get`], of PUT.
    pub const fn put(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(Method::Put, path, id, summary)
    }

    /// As [`Self::get`], of PATCH.
    pub const fn patch(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(Method::Patch, path, id, summary)
    }

    /// As [`Self::get`], of DELETE.
    pub const fn delete(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(Method::Delete, path, id, summary)
    }

    /// As [`Self::get`], of OPTIONS.
    pub const fn options(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new(Method::Options, path, id, summary)
    }

    /// For everybody, logged in or not.
    pub const fn public(self) -> Self {
        Self {
            is_public: true,
            ..self
        }
    }

    /// With these query parameters.
    pub const fn query(self, query: &'static [QueryParameter]) -> Self {
        Self { query, ..self }
    }

    /// With a body of one of these media types.
    pub const fn consumes(self, consumes: &'static [&'static str]) -> Self {
        Self { consumes, ..self }
    }

    /// With an answer in one of these media types.
    pub const fn produces(self, produces: &'static [&'static str]) -> Self {
        Self { produces, ..self }
    }

    /// With these status codes.
    pub const fn answers(self, statuses: &'static [u16]) -> Self {
        Self { statuses, ..self }
    }
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET, and HEAD with it.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
    /// OPTIONS.
    Options,
}

impl Method {
    /// The method's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            // HEAD is answered by GET's handler.
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
            Self::Options => MethodFilter::OPTIONS,
        }
    }
}

/// A query parameter.
#[derive(Debug, Clone, Copy)]
pub struct QueryParameter {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// `string`, `integer` or `boolean`.
    pub kind: &'static str,
}

impl QueryParameter {
    const fn new(kind: &'static str, name: &'static str, description: &'static str) -> Self {
        Self {
            name,
            description,
            kind,
        }
    }

    /// A text.
    pub const fn string(name: &'static str, description: &'static str) -> Self {
        Self::new("string", name, description)
    }

    /// A whole number.
    pub const fn integer(name: &'static str, description: &'static str) -> Self {
        Self::new("integer", name, description)
    }

    /// `true` or `false`.
    pub const fn boolean(name: &'static str, description: &'static str) -> Self {
        Self::new("boolean", name, description)
    }
}

/// Routes and their descriptions.
#[derive(Default)]
pub struct Routes {
    router: Router<Context>,
    operations: Vec<Operation>,
}

impl Routes {
    /// Adds an operation and what carries it out.
    pub fn add<H, T>(mut self, operation: Operation, handler: H) -> Self
    where
        H: Handler<T, Context>,
        T: 'static,
    {
        let route = on(operation.method.filter(), handler);
        self.router = self.router.route(operation.path, route);
        self.operations.push(operation);
        self
    }

    /// Adds an operation at each of several paths: what stands in braces in the suffix of the
    /// path, the id and the summary of `like` is made for each place.
    pub fn add_at<H, T>(mut self, places: &[Place], like: Operation, handler: H) -> Self
    where
        H: Handler<T, Context> + Clone,
        T: 'static,
    {
        for place in places {
            let operation = Operation {
                path: leak(format!("{}{}", place.path, like.path)),
                id: leak(like.id.replace("{level}", place.word)),
                summary: leak(like.summary.replace("{level}", &place.word.to_lowercase())),
                ..like
            };
            self = self.add(operation, handler.clone());
        }
        self
    }

    /// The router and the table.
    pub fn into_parts(self) -> (Router<Context>, Vec<Operation>) {
        (self.router, self.operations)
    }
}

/// Where an operation is that several resources have.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The resource's path.
    pub path: &'static str,
    /// What is there, in one word with a capital letter.
    pub word: &'static str,
}

/// The table lives as long as the program, and so do its texts.
fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}
