//! The fuzz entry of the query languages: called by the fuzz targets and by replay tests.

use crate::{Filter, Language, Pattern, SelectQuery};

/// Parses the bytes as a query in each language and as LIKE patterns, and matches a text with what parses.
pub fn query(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    for language in [Language::Cql, Language::Wql] {
        if let Err(error) = SelectQuery::parse(language, text) {
            assert!(
                error.position >= 1 && error.position <= text.chars().count() + 1,
                "{error}"
            );
        }
    }
    if let Err(error) = Filter::parse(text) {
        assert!(
            error.position >= 1 && error.position <= text.chars().count() + 1,
            "{error}"
        );
    }
    for pattern in [Pattern::regular(text), Pattern::wildcard(text)]
        .into_iter()
        .flatten()
    {
        pattern.matches("a text, with [brackets] and 0123456789");
    }
}
