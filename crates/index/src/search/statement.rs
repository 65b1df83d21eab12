//! From a query to SQL that gives a superset of the matches, in order, row by row.

use super::columns::{self, COLUMNS, Column, Search};
use crate::query::{Order, Query, Wanted};
use gantry_core::level::Level;
use gantry_dicom::Tag;
use gantry_dicom::matching::{Key, Matcher, NamePattern, Wildcard};
use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;

/// Above so many candidates, sorting them costs more than walking the table in order.
const SORTED_MAX: i64 = 20_000;

/// A statement and what its rows hold.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) parameters: Vec<SqlValue>,
    /// The columns that follow the row's identity, in ascending tag order.
    pub(super) columns: Vec<&'static Column>,
    /// Whether rows end with the representative's header (compression, bytes).
    pub(super) has_header: bool,
}

/// A condition that an index can serve.
struct Condition {
    /// SQL with `{+}` before each column that an index would be used for.
    sql: String,
    parameters: Vec<SqlValue>,
    /// Whether it can hold for many rows, so that it is worth counting first.
    is_range: bool,
}

/// Makes the statement for `query`.
pub(super) fn statement(connection: &Connection, query: &Query) -> rusqlite::Result<Statement> {
    let columns = needed_columns(query);
    let has_header = needs_header(query);
    let conditions: Vec<Condition> =
        query.keys.iter().filter_map(|key| condition(key, query.level)).collect();
    let tables = tables(query);
    let use_indexes = should_use_indexes(connection, query, &tables, &conditions)?;

    let level = query.level;
    let id = format!("{}.id", alias(level));
    let mut sql = format!("SELECT {id}");
    for column in &columns {
        sql.push_str(", ");
        sql.push_str(&columns::sql(column.value, level));
    }
    if has_header {
        sql.push_str(", h.compression, h.header");
    }
    sql.push_str(&tables);
    if has_header {
        let owner = if level == Level::Instance { "i.id" } else { "" };
        let of = if owner.is_empty() { format!("{}.representative", alias(level)) } else { owner.into() };
        let join = format!(" LEFT JOIN instance_header h ON h.instance = {of} WHERE");
        sql = sql.replacen(" WHERE", &join, 1);
    }
    let mut parameters = Vec::new();
    for condition in conditions {
        sql.push_str(" AND ");
        // A plus sign keeps SQLite from using the index.
        sql.push_str(&condition.sql.replace("{+}", if use_indexes { "" } else { "+" }));
        parameters.extend(condition.parameters);
    }
    let direction = match query.order {
        Order::Arrival => "",
        Order::Newest => " DESC",
    };
    sql.push_str(&format!(" ORDER BY {id}{direction}"));
    Ok(Statement { sql, parameters, columns, has_header })
}

fn alias(level: Level) -> &'static str {
    match level {
        Level::Patient => "p",
        Level::Study => "st",
        Level::Series => "se",
        Level::Instance => "i",
    }
}

/// FROM and the first WHERE condition: what is visible at the level.
fn tables(query: &Query) -> String {
    let from = match query.level {
        Level::Patient => "patient p",
        Level::Study => "study st",
        Level::Series => "series se JOIN study st ON st.id = se.study",
        Level::Instance => {
            "instance i JOIN series se ON se.id = i.series JOIN study st ON st.id = se.study"
        }
    };
    let visible = match (query.level, query.is_of_deleted) {
        (Level::Patient, false) => "p.studies > 0".into(),
        (Level::Patient, true) => "p.studies = 0".into(),
        (level, false) => format!("{}.deleted_at IS NULL", alias(level)),
        (level, true) => format!("{}.deleted_at IS NOT NULL", alias(level)),
    };
    format!(" FROM {from} WHERE {visible}")
}

/// The columns that answers or comparisons need.
fn needed_columns(query: &Query) -> Vec<&'static Column> {
    let is_wanted = |column: &Column| match &query.wanted {
        Wanted::All => true,
        Wanted::Listed(listed) => listed.iter().any(|(tag, _)| *tag == column.tag),
    };
    COLUMNS
        .iter()
        .filter(|column| column.level <= query.level)
        .filter(|column| {
            is_wanted(column) || query.keys.iter().any(|key| tags_of(key).contains(&column.tag))
        })
        .collect()
}

/// The attributes a key looks at.
pub(super) fn tags_of(key: &Key) -> Vec<Tag> {
    match key {
        Key::Attribute { tag, .. } => vec![*tag],
        Key::DateAndTime { date, time, .. } => vec![*date, *time],
    }
}

/// Whether something is asked that only a header can tell.
fn needs_header(query: &Query) -> bool {
    let has_no_column = |tag: &Tag| columns::column(*tag, query.level).is_none();
    let is_told_elsewhere = |tag: &Tag| super::CONSTANTS.contains(tag);
    query.keys.iter().flat_map(tags_of).any(|tag| has_no_column(&tag))
        || match &query.wanted {
            Wanted::All => true,
            Wanted::Listed(listed) => {
                listed.iter().any(|(tag, _)| has_no_column(tag) && !is_told_elsewhere(tag))
            }
        }
}

/// Many candidates in no useful order would have to be sorted; then it is quicker to walk the
/// table in order and compare.
fn should_use_indexes(
    connection: &Connection,
    query: &Query,
    tables: &str,
    conditions: &[Condition],
) -> rusqlite::Result<bool> {
    if conditions.is_empty() || conditions.iter().any(|condition| !condition.is_range) {
        return Ok(true);
    }
    let mut sql = format!("SELECT count(*) FROM (SELECT 1{tables}");
    let mut parameters = Vec::new();
    for condition in conditions {
        sql.push_str(" AND ");
        sql.push_str(&condition.sql.replace("{+}", ""));
        parameters.extend(condition.parameters.iter().cloned());
    }
    sql.push_str(&format!(" LIMIT {})", SORTED_MAX + 1));
    // The rows behind an index on another level's table come in no order at all: the count then
    // says how many are sorted, which is what matters.
    let mut statement = connection.prepare_cached(&sql)?;
    let count: i64 =
        statement.query_row(rusqlite::params_from_iter(parameters), |row| row.get(0))?;
    Ok(count <= SORTED_MAX || query.limit.is_none())
}

/// Narrows the search by one key, where that is possible without losing a match.
fn condition(key: &Key, level: Level) -> Option<Condition> {
    let Key::Attribute { tag, matcher } = key else { return None };
    let column = columns::column(*tag, level)?;
    match column.search {
        Search::Text(sql) => text_condition(&columns::sql(sql, level), matcher),
        Search::Name(groups) => {
            let Matcher::PersonName(pattern) = matcher else { return None };
            name_condition(&groups.map(|sql| columns::sql(sql, level)), pattern)
        }
        Search::Date(sql) => date_condition(&columns::sql(sql, level), matcher),
        Search::Modalities => modality_condition(matcher),
        Search::EachRow => None,
    }
}

fn text_condition(column: &str, matcher: &Matcher) -> Option<Condition> {
    match matcher {
        Matcher::Single(text) => Some(equal(column, text.clone())),
        Matcher::UidList(list) => Some(one_of(column, list)),
        Matcher::Wildcard(wildcard) => wildcard_condition(column, wildcard.literal_prefix(), wildcard),
        _ => None,
    }
}

fn name_condition(columns: &[String; 3], pattern: &NamePattern) -> Option<Condition> {
    match pattern {
        NamePattern::AnyGroup(wildcard) => {
            let prefix = NamePattern::literal_prefix(wildcard);
            let each = columns.iter().map(|column| wildcard_condition(column, prefix, wildcard));
            joined(each.collect::<Option<Vec<_>>>()?, " OR ")
        }
        NamePattern::Groups(groups) => {
            let each = columns.iter().zip(groups).filter_map(|(column, wildcard)| {
                let wildcard = wildcard.as_ref()?;
                wildcard_condition(column, NamePattern::literal_prefix(wildcard), wildcard)
            });
            joined(each.collect(), " AND ")
        }
        NamePattern::Words(_) => None,
    }
}

fn joined(conditions: Vec<Condition>, operator: &str) -> Option<Condition> {
    let sql: Vec<_> = conditions.iter().map(|condition| condition.sql.as_str()).collect();
    let sql = format!("({})", sql.join(operator));
    let is_range = conditions.iter().any(|condition| condition.is_range);
    let parameters: Vec<_> =
        conditions.into_iter().flat_map(|condition| condition.parameters).collect();
    (!parameters.is_empty()).then_some(Condition { sql, parameters, is_range })
}

fn date_condition(column: &str, matcher: &Matcher) -> Option<Condition> {
    let Matcher::DateRange(range) = matcher else { return None };
    Some(Condition {
        sql: format!("{{+}}{column} BETWEEN ? AND ?"),
        parameters: vec![i64::from(range.first).into(), i64::from(range.last).into()],
        is_range: range.first != range.last,
    })
}

fn modality_condition(matcher: &Matcher) -> Option<Condition> {
    let modalities: Vec<String> = match matcher {
        Matcher::Single(modality) => vec![modality.clone()],
        Matcher::AnyOf(matchers) => matchers
            .iter()
            .map(|matcher| match matcher {
                Matcher::Single(modality) => Some(modality.clone()),
                _ => None,
            })
            .collect::<Option<_>>()?,
        _ => return None,
    };
    let list = one_of("modality", &modalities);
    Some(Condition {
        sql: format!(
            "{{+}}st.id IN (SELECT study FROM study_modality WHERE {})",
            list.sql.replace("{+}", "")
        ),
        parameters: list.parameters,
        is_range: true,
    })
}

fn equal(column: &str, value: String) -> Condition {
    Condition {
        sql: format!("{{+}}{column} = ?"),
        parameters: vec![value.into()],
        is_range: false,
    }
}

fn one_of(column: &str, values: &[String]) -> Condition {
    let marks = vec!["?"; values.len()].join(", ");
    Condition {
        sql: format!("{{+}}{column} IN ({marks})"),
        parameters: values.iter().cloned().map(SqlValue::from).collect(),
        is_range: false,
    }
}

/// Values that are the pattern, or begin with `prefix`: everything from the prefix up to the
/// prefix with the last character there is behind it.
fn wildcard_condition(column: &str, prefix: &str, wildcard: &Wildcard) -> Option<Condition> {
    if prefix.is_empty() {
        return None;
    }
    if wildcard.is_literal() {
        return Some(equal(column, prefix.to_owned()));
    }
    Some(Condition {
        sql: format!("{{+}}{column} BETWEEN ? AND ?"),
        parameters: vec![prefix.to_owned().into(), format!("{prefix}\u{10FFFF}").into()],
        is_range: true,
    })
}
