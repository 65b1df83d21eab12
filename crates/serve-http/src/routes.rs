//! The table of routes. A route cannot be served without being described: the router, the OpenAPI
//! document and the capabilities description are all made of this table.

use crate::context::Context;
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};

/// What one method of one path does.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// GET, POST or DELETE. HEAD goes with GET.
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
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET, and HEAD with it.
    Get,
    /// POST.
    Post,
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
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            // HEAD is answered by GET's handler.
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
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

    /// The router and the table.
    pub fn into_parts(self) -> (Router<Context>, Vec<Operation>) {
        (self.router, self.operations)
    }
}
