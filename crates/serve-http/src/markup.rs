//! Text inside HTML and XML.

/// The text so that it stands for itself in content and in attributes between quotation marks.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn nothing_is_markup_any_more() {
        assert_eq!(
            escape("<a b=\"&amp;\">"),
            "&lt;a b=&quot;&amp;amp;&quot;&gt;"
        );
        assert_eq!(escape("plain 'text'"), "plain 'text'");
    }
}
