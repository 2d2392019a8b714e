//! Splits a query into tokens.

use crate::error::{QueryError, QueryErrorKind};
use crate::token::{MAX_LENGTH, Symbol, Token};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A token and where it starts, in characters from 1.
pub(crate) type Placed = (Token, usize);

/// All tokens of a query, `Token::End` last.
pub(crate) fn tokens(query: &str) -> Result<Vec<Placed>, QueryError> {
    if query.len() > MAX_LENGTH {
        return Err(QueryError::new(
            QueryErrorKind::Limit("the query is longer than 16 KiB"),
            1,
        ));
    }
    let mut lexer = Lexer {
        rest: query,
        position: 1,
    };
    let mut tokens = Vec::new();
    loop {
        let (token, position) = lexer.next()?;
        let last = token == Token::End;
        tokens.push((token, position));
        if last {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    position: usize,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Result<Placed, QueryError> {
        self.take(|c| c.is_ascii_whitespace());
        let start = self.position;
        let Some(first) = self.rest.chars().next() else {
            return Ok((Token::End, start));
        };
        let token = match first {
            '\'' | '"' => self.string(first)?,
            '0'..='9' => self.number(start)?,
            c if is_name_start(c) => Token::Word(self.take(is_name_part).to_string()),
            _ => Token::Symbol(self.symbol(first)?),
        };
        Ok((token, start))
    }

    /// Consumes characters while the test holds.
    fn take(&mut self, test: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !test(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.position += taken.chars().count();
        self.rest = rest;
        taken
    }

    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        self.position += 1;
        Some(c)
    }

    fn symbol(&mut self, first: char) -> Result<Symbol, QueryError> {
        for (spelling, symbol) in Symbol::SPELLINGS {
            if let Some(rest) = self.rest.strip_prefix(spelling) {
                self.rest = rest;
                self.position += spelling.len();
                return Ok(symbol);
            }
        }
        Err(self.unexpected(
            "a name, a value or an operator",
            alloc::format!("{first:?}"),
        ))
    }

    fn unexpected(&self, expected: &'static str, found: String) -> QueryError {
        QueryError::new(QueryErrorKind::Syntax { expected, found }, self.position)
    }

    /// A string in either quote. The quote itself is escaped by a backslash or by doubling it; a backslash
    /// before any other character stays, because LIKE patterns need it.
    fn string(&mut self, quote: char) -> Result<Token, QueryError> {
        let mut text = String::new();
        self.bump();
        loop {
            match self.bump() {
                None => return Err(self.unexpected("a closing quote", "the end".to_string())),
                Some('\\') => match self.bump() {
                    None => return Err(self.unexpected("a closing quote", "the end".to_string())),
                    Some(c @ ('\'' | '"' | '\\')) => text.push(c),
                    Some(c) => text.extend(['\\', c]),
                },
                Some(c) if c == quote => {
                    if !self.rest.starts_with(quote) {
                        return Ok(Token::Text(text));
                    }
                    self.bump();
                    text.push(quote);
                }
                Some(c) => text.push(c),
            }
        }
    }

    /// `12`, `0x1F`, `101B`, `1.5`, `2e-3`. A point counts as part of a number only before a digit, so that
    /// the range `[1..2]` stays readable.
    fn number(&mut self, start: usize) -> Result<Token, QueryError> {
        let word = self.take(|c| c.is_ascii_alphanumeric());
        let too_large = || QueryError::new(QueryErrorKind::Limit("the number is too large"), start);
        if let Some(hex) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"))
            && !hex.is_empty()
            && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return u64::from_str_radix(hex, 16)
                .map(Token::Integer)
                .map_err(|_| too_large());
        }
        if let Some(binary) = word.strip_suffix(['b', 'B'])
            && binary.bytes().all(|byte| matches!(byte, b'0' | b'1'))
        {
            return u64::from_str_radix(binary, 2)
                .map(Token::Integer)
                .map_err(|_| too_large());
        }
        let mut text = word.to_string();
        let after_point = self
            .rest
            .strip_prefix('.')
            .and_then(|rest| rest.chars().next());
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            if !after_point.is_some_and(|c| c.is_ascii_digit()) {
                return word.parse().map(Token::Integer).map_err(|_| too_large());
            }
            self.bump();
            text.push('.');
            text.push_str(self.take(|c| c.is_ascii_alphanumeric()));
        }
        if text.ends_with(['e', 'E']) && self.rest.starts_with(['+', '-']) {
            text.extend(self.bump());
            text.push_str(self.take(|c| c.is_ascii_digit()));
        }
        let plain =
            |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() && text.bytes().all(plain) => Ok(Token::Real(value)),
            _ => Err(QueryError::new(
                QueryErrorKind::Syntax {
                    expected: "a number",
                    found: alloc::format!("\"{text}\""),
                },
                start,
            )),
        }
    }
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || ('\u{80}'..='\u{ffef}').contains(&c)
}

fn is_name_part(c: char) -> bool {
    is_name_start(c) || c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(query: &str) -> Vec<Token> {
        tokens(query)
            .unwrap()
            .into_iter()
            .map(|(token, _)| token)
            .collect()
    }

    #[test]
    fn numbers_come_in_four_notations() {
        assert_eq!(
            lex("12 0x1F 101B 1.5 2e-3 1..2"),
            [
                Token::Integer(12),
                Token::Integer(31),
                Token::Integer(5),
                Token::Real(1.5),
                Token::Real(0.002),
                Token::Integer(1),
                Token::Symbol(Symbol::Range),
                Token::Integer(2),
                Token::End
            ]
        );
        for bad in ["12x", "1e", "0x", "99999999999999999999", "1e999"] {
            assert!(tokens(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn strings_take_both_quotes_and_escapes() {
        assert_eq!(
            lex(r#"'it''s' "a\"b" 'c\\d' 'x\.y'"#),
            [
                Token::Text("it's".to_string()),
                Token::Text("a\"b".to_string()),
                Token::Text("c\\d".to_string()),
                Token::Text("x\\.y".to_string()),
                Token::End
            ]
        );
        assert_eq!(tokens("x = 'abc").unwrap_err().position, 9);
    }

    #[test]
    fn positions_count_characters_not_bytes() {
        let tokens = tokens("Größe <> 'ä' x").unwrap();
        let positions: Vec<_> = tokens.iter().map(|(_, position)| *position).collect();
        assert_eq!(positions, [1, 7, 10, 14, 15]);
    }

    #[test]
    fn foreign_characters_are_named() {
        assert_eq!(
            tokens("a ? b").unwrap_err().to_string(),
            "at character 3: expected a name, a value or an operator, found '?'"
        );
    }
}
