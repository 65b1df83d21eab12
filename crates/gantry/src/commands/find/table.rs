//! Matches as a table for people.

use super::scu;
use gantry_dicom::data_set::{DataSet, Element, Value};
use gantry_dicom::{Tag, Vr};
use std::io::Write;

/// Rows that are looked at to choose the widths; the ones after them are printed as they come.
const SAMPLE: usize = 200;
/// Widest column that is not the last, in characters.
const WIDTH_MAX: usize = 40;

/// A table with a column for each attribute.
pub struct Table {
    columns: Vec<Tag>,
    waiting: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
}

impl Table {
    /// An empty table.
    pub fn new(columns: Vec<Tag>) -> Self {
        Self {
            columns,
            waiting: Vec::new(),
            widths: None,
        }
    }

    /// Adds a row.
    pub fn add(&mut self, data_set: &DataSet) -> std::io::Result<()> {
        let row = self
            .columns
            .iter()
            .map(|tag| cell(data_set, *tag))
            .collect();
        self.waiting.push(row);
        match self.widths.is_some() || self.waiting.len() >= SAMPLE {
            true => self.print(),
            false => Ok(()),
        }
    }

    /// Prints what is left.
    pub fn finish(mut self) -> std::io::Result<()> {
        match self.waiting.is_empty() {
            true => Ok(()),
            false => self.print(),
        }
    }

    fn print(&mut self) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        let heads: Vec<String> = self.columns.iter().map(|tag| scu::name_of(*tag)).collect();
        let widths = match &self.widths {
            Some(widths) => widths,
            None => {
                let widths = self.widths.insert(widths(&heads, &self.waiting));
                writeln!(out, "{}", line(&heads, widths))?;
                widths
            }
        };
        for row in self.waiting.drain(..) {
            writeln!(out, "{}", line(&row, widths))?;
        }
        out.flush()
    }
}

fn widths(heads: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    heads
        .iter()
        .enumerate()
        .map(|(at, head)| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            let longest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            longest.max(head.chars().count()).min(WIDTH_MAX)
        })
        .collect()
}

/// The cells at their widths. A longer one is cut, except the last: identifiers stand there.
fn line(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if at + 1 == cells.len() {
            line.push_str(cell);
            break;
        }
        let length = cell.chars().count();
        if length > *width {
            line.extend(cell.chars().take(width - 1));
            line.push('…');
        } else {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - length));
        }
        line.push_str("  ");
    }
    line.trim_end().to_owned()
}

/// A value in one line, without characters that a terminal would act on.
fn cell(data_set: &DataSet, tag: Tag) -> String {
    let Some(element) = data_set.get(tag) else {
        return String::new();
    };
    let text = match &element.value {
        Value::Sequence(items) => format!("[{} items]", items.len()),
        _ => data_set.strings(tag).join("\\"),
    };
    let text = match element {
        Element { vr: Vr::DA, .. } => date(&text),
        _ => text,
    };
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// 20260102 as 2026-01-02.
fn date(text: &str) -> String {
    match (text.get(..4), text.get(4..6), text.get(6..8)) {
        (Some(year), Some(month), Some(day)) if text.len() == 8 => format!("{year}-{month}-{day}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_dicom::tags;

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let heads = ["A".to_owned(), "Name".to_owned(), "UID".to_owned()];
        let rows = vec![vec!["xyz".into(), "Müller".into(), "1.2.3".into()]];
        let widths = widths(&heads, &rows);
        assert_eq!(widths, [3, 6, 5]);
        assert_eq!(line(&heads, &widths), "A    Name    UID");
        assert_eq!(line(&rows[0], &[2, 6, 1]), "x…  Müller  1.2.3");
    }

    #[test]
    fn cells_are_plain_text() {
        let mut data_set = DataSet::new();
        data_set.put_text(tags::STUDY_DATE, Vr::DA, "20260102");
        data_set.put_text(tags::STUDY_DESCRIPTION, Vr::LO, "a\u{7}b");
        data_set.put_text(tags::MODALITIES_IN_STUDY, Vr::CS, "CT\\PT");
        assert_eq!(cell(&data_set, tags::STUDY_DATE), "2026-01-02");
        assert_eq!(cell(&data_set, tags::STUDY_DESCRIPTION), "a b");
        assert_eq!(cell(&data_set, tags::MODALITIES_IN_STUDY), "CT\\PT");
        assert_eq!(cell(&data_set, tags::PATIENT_ID), "");
    }
}
