//! Any text as one line, and back: for records in the store and for what clients see of a boot source.
//!
//! A backslash, a line feed and a carriage return stand as two characters each; everything else stands for itself.

use alloc::string::String;

/// The text on one line.
pub fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            other => line.push(other),
        }
    }
    line
}

/// The text that [`escaped`] made this line of; `None` where a backslash stands before something else.
pub fn unescaped(line: &str) -> Option<String> {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => match characters.next()? {
                '\\' => '\\',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back_from_one_line() {
        for text in [
            "",
            "plain",
            "C:\\new\\rest",
            "one\ntwo\r\n",
            "\\n",
            "ends with \\",
        ] {
            let line = escaped(text);
            assert!(!line.contains(['\n', '\r']), "{line:?}");
            assert_eq!(unescaped(&line).as_deref(), Some(text));
        }
    }

    #[test]
    fn half_an_escape_is_none() {
        assert_eq!(unescaped("\\"), None);
        assert_eq!(unescaped("a\\t"), None);
    }
}
