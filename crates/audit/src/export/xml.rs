//! Writing XML 1.0.

use std::fmt::Write;

/// A document in the making.
#[derive(Debug)]
pub(crate) struct Xml {
    text: String,
    /// Whether the last start tag still waits for its end.
    is_open: bool,
    path: Vec<&'static str>,
}

impl Xml {
    pub fn new() -> Self {
        Self {
            text: String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"),
            is_open: false,
            path: Vec::new(),
        }
    }

    /// Begins an element.
    pub fn start(&mut self, name: &'static str) -> &mut Self {
        self.close_tag();
        self.text.push('<');
        self.text.push_str(name);
        self.is_open = true;
        self.path.push(name);
        self
    }

    /// An attribute of the element just begun.
    pub fn attribute(&mut self, name: &str, value: &str) -> &mut Self {
        let _ = write!(self.text, " {name}=\"");
        escape(value, &mut self.text);
        self.text.push('"');
        self
    }

    /// Text inside of the element.
    pub fn content(&mut self, text: &str) -> &mut Self {
        self.close_tag();
        escape(text, &mut self.text);
        self
    }

    /// Ends the element begun last.
    pub fn end(&mut self) -> &mut Self {
        let Some(name) = self.path.pop() else {
            return self;
        };
        if self.is_open {
            self.text.push_str("/>");
            self.is_open = false;
        } else {
            let _ = write!(self.text, "</{name}>");
        }
        self
    }

    pub fn finish(mut self) -> String {
        while !self.path.is_empty() {
            self.end();
        }
        self.text
    }

    fn close_tag(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.text.push('>');
        }
    }
}

/// Escapes for content and attributes alike. What XML cannot hold (control characters) becomes a
/// replacement character.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A parser would turn them into spaces.
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(character));
            }
            '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => out.push('\u{FFFD}'),
            character => out.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_a_value() {
        let mut xml = Xml::new();
        xml.start("a").attribute("b", "\"><x>&\n\u{1}é");
        xml.start("c").content("</a>").end();
        assert_eq!(
            xml.finish(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <a b=\"&quot;&gt;&lt;x&gt;&amp;&#10;\u{FFFD}é\"><c>&lt;/a&gt;</c></a>"
        );
    }
}
