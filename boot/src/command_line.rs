//! Splitting of command lines into words.

/// The words of `line`: separated by blanks; double quotes keep blanks together and are dropped
/// where they enclose a whole word or the value after its `=`.
pub fn words(line: &str) -> Words<'_> {
    Words { rest: line }
}

/// Iterator over `(key, value)` of each word; see [`words`]. A word without `=` has no value.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = (&'a str, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.rest.trim_start();
        if line.is_empty() {
            return None;
        }
        let mut quoted = false;
        let end = line
            .find(|char: char| {
                quoted ^= char == '"';
                char.is_whitespace() && !quoted
            })
            .unwrap_or(line.len());
        let (word, rest) = line.split_at(end);
        self.rest = rest;
        Some(match unquote(word).split_once('=') {
            Some((key, value)) => (key, Some(unquote(value))),
            None => (unquote(word), None),
        })
    }
}

fn unquote(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_keys_and_values() {
        let all: Vec<_> = words("  xapic console=both title=\"a b\" \"c d\" =x end= ").collect();
        assert_eq!(
            all,
            [
                ("xapic", None),
                ("console", Some("both")),
                ("title", Some("a b")),
                ("c d", None),
                ("", Some("x")),
                ("end", Some("")),
            ]
        );
        assert_eq!(words("   ").next(), None);
    }

    #[test]
    fn an_open_quote_ends_with_the_line() {
        assert_eq!(words("a=\"b c").next(), Some(("a", Some("\"b c"))));
    }
}
