//! Splits a MOF text into tokens (DSP0004 Annex A), with a position for each.
//!
//! Keywords are not told from identifiers here: MOF's keywords are also used as names (the qualifier
//! `Association`, a property `Reference`), and only the parser knows which one a place can hold.

use alloc::format;
use alloc::string::String;

use crate::error::{Fault, Rule};
use crate::limits;
use crate::source::{FileId, Position};

/// What a token is, with its decoded value.
#[derive(Clone, Debug, PartialEq)]
pub enum Token<'a> {
    /// A name or a keyword.
    Word(&'a str),
    /// `$name`.
    Alias(&'a str),
    /// An integer of any of MOF's four notations; wider than 64 bits so that range checks can be exact.
    Integer(i128),
    /// A number with a decimal point.
    Real(f64),
    /// One string literal, escapes decoded. Neighbouring literals are joined by the parser.
    Text(String),
    /// A `char16` literal: one UTF-16 code unit.
    Char(u16),
    /// One of `[ ] ( ) { } , ; : = #`.
    Mark(char),
    /// The end of the text.
    End,
}

impl Token<'_> {
    /// The token as an error message shows it.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Alias(name) => format!("the alias `${name}`"),
            Self::Integer(value) => format!("the number {value}"),
            Self::Real(value) => format!("the number {value}"),
            Self::Text(text) => {
                let shown: String = text.chars().take(40).collect();
                let more = if shown.len() < text.len() { "..." } else { "" };
                format!("the string \"{}{more}\"", shown.escape_debug())
            }
            Self::Char(_) => "a character literal".into(),
            Self::Mark(mark) => format!("`{mark}`"),
            Self::End => "the end of the text".into(),
        }
    }
}

/// The token stream of one text.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    text: &'a str,
    offset: usize,
    at: Position,
}

impl<'a> Lexer<'a> {
    /// Starts at the beginning of a text; a byte-order mark is skipped.
    #[must_use]
    pub fn new(file: FileId, text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self {
            text,
            offset: 0,
            at: Position::start(file),
        }
    }

    /// The next token and where it starts.
    ///
    /// # Errors
    /// [`Rule::Lexical`] for anything that is no token, [`Rule::Limit`] for an overlong string.
    pub fn next_token(&mut self) -> Result<(Token<'a>, Position), Fault> {
        self.skip_blank()?;
        let at = self.at;
        let Some(first) = self.peek() else {
            return Ok((Token::End, at));
        };
        let token = match first {
            '[' | ']' | '(' | ')' | '{' | '}' | ',' | ';' | ':' | '=' | '#' => {
                self.bump();
                Token::Mark(first)
            }
            '"' => Token::Text(self.string()?),
            '\'' => Token::Char(self.character()?),
            '$' => {
                self.bump();
                match self.word() {
                    "" => {
                        return Err(Fault::new(
                            at,
                            Rule::Lexical,
                            "`$` without a name",
                            "an alias such as `$Name`",
                        ));
                    }
                    name => Token::Alias(name),
                }
            }
            '0'..='9' | '+' | '-' | '.' => self.number()?,
            c if starts_word(c) => Token::Word(self.word()),
            c => {
                return Err(Fault::new(
                    at,
                    Rule::Lexical,
                    format!("the character `{}`", c.escape_debug()),
                    "a name, a literal or punctuation of MOF",
                ));
            }
        };
        Ok((token, at))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.offset..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.offset = self.offset.saturating_add(c.len_utf8());
        if c == '\n' {
            self.at.line = self.at.line.saturating_add(1);
            self.at.column = 1;
        } else {
            self.at.column = self.at.column.saturating_add(1);
        }
        Some(c)
    }

    /// Blanks and comments.
    fn skip_blank(&mut self) -> Result<(), Fault> {
        loop {
            while self.peek().is_some_and(char::is_whitespace) {
                self.bump();
            }
            if self.rest().starts_with("//") {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.bump();
                }
            } else if self.rest().starts_with("/*") {
                let at = self.at;
                self.bump();
                self.bump();
                while !self.rest().starts_with("*/") {
                    if self.bump().is_none() {
                        return Err(Fault::new(
                            at,
                            Rule::Lexical,
                            "a comment without end",
                            "`*/` before the end of the text",
                        ));
                    }
                }
                self.bump();
                self.bump();
            } else {
                return Ok(());
            }
        }
    }

    fn word(&mut self) -> &'a str {
        let start = self.offset;
        while self.peek().is_some_and(continues_word) {
            self.bump();
        }
        self.text.get(start..self.offset).unwrap_or("")
    }

    fn string(&mut self) -> Result<String, Fault> {
        let open = self.at;
        let unterminated = || {
            Fault::new(
                open,
                Rule::Lexical,
                "a string without end",
                "`\"` before the end of the line",
            )
        };
        self.bump();
        let mut out = String::new();
        loop {
            let at = self.at;
            match self.peek() {
                None | Some('\n' | '\r') => return Err(unterminated()),
                Some('"') => {
                    self.bump();
                    return Ok(out);
                }
                Some('\\') => {
                    let unit = self.escape()?;
                    out.push(self.join_surrogates(unit, at)?);
                }
                Some(c) => {
                    self.bump();
                    out.push(c);
                }
            }
            if out.len() > limits::STRING_BYTES {
                return Err(Fault::new(
                    open,
                    Rule::Limit,
                    "a string that is too long",
                    format!("at most {} bytes", limits::STRING_BYTES),
                ));
            }
        }
    }

    /// A code unit from an escape as a character; a high surrogate takes the low one behind it.
    fn join_surrogates(&mut self, unit: u16, at: Position) -> Result<char, Fault> {
        if let Some(c) = char::from_u32(u32::from(unit)) {
            return Ok(c);
        }
        let lone = || {
            Fault::new(
                at,
                Rule::Lexical,
                "half of a surrogate pair",
                "both halves, the high one first",
            )
        };
        if self.peek() != Some('\\') {
            return Err(lone());
        }
        let low = self.escape()?;
        match char::decode_utf16([unit, low]).next() {
            Some(Ok(c)) => Ok(c),
            _ => Err(lone()),
        }
    }

    fn character(&mut self) -> Result<u16, Fault> {
        let at = self.at;
        let wrong = |found: &str| {
            Fault::new(
                at,
                Rule::Lexical,
                found,
                "one character of the basic plane between apostrophes",
            )
        };
        self.bump();
        let unit = match self.peek() {
            None | Some('\n' | '\r' | '\'') => return Err(wrong("an empty character literal")),
            Some('\\') => self.escape()?,
            Some(c) => {
                self.bump();
                u16::try_from(u32::from(c)).map_err(|_| wrong("a character above U+FFFF"))?
            }
        };
        if self.peek() == Some('\'') {
            self.bump();
            Ok(unit)
        } else {
            Err(wrong("a character literal without end"))
        }
    }

    /// An escape sequence, from its backslash on, as a UTF-16 code unit.
    fn escape(&mut self) -> Result<u16, Fault> {
        let at = self.at;
        self.bump();
        let unit = match self.bump() {
            Some('b') => 0x08,
            Some('t') => 0x09,
            Some('n') => 0x0a,
            Some('f') => 0x0c,
            Some('r') => 0x0d,
            Some('"') => 0x22,
            Some('\'') => 0x27,
            Some('\\') => 0x5c,
            Some('x' | 'X') => return self.hex_escape(at),
            other => {
                let found = match other {
                    Some(c) => format!("the escape `\\{}`", c.escape_debug()),
                    None => "a backslash at the end of the text".into(),
                };
                return Err(Fault::new(
                    at,
                    Rule::Lexical,
                    found,
                    "one of \\b \\t \\n \\f \\r \\\" \\' \\\\ \\xHHHH",
                ));
            }
        };
        Ok(unit)
    }

    fn hex_escape(&mut self, at: Position) -> Result<u16, Fault> {
        let mut unit: u16 = 0;
        let mut digits = 0;
        while digits < 4 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) else {
                break;
            };
            self.bump();
            digits += 1;
            unit = (unit << 4) | u16::try_from(digit).unwrap_or(0);
        }
        if digits == 0 {
            return Err(Fault::new(
                at,
                Rule::Lexical,
                "`\\x` without a digit",
                "one to four hexadecimal digits",
            ));
        }
        Ok(unit)
    }

    fn number(&mut self) -> Result<Token<'a>, Fault> {
        let at = self.at;
        let start = self.offset;
        // A sign belongs to the exponent only right behind its letter.
        let mut previous = ' ';
        while let Some(c) = self.peek() {
            let sign = matches!(c, '+' | '-');
            let exponent_sign = sign
                && matches!(previous, 'e' | 'E')
                && self
                    .text
                    .get(start..self.offset)
                    .is_some_and(|t| t.contains('.'));
            let first = self.offset == start;
            if !(c.is_ascii_alphanumeric() || c == '.' || (sign && (first || exponent_sign))) {
                break;
            }
            previous = c;
            self.bump();
        }
        let text = self.text.get(start..self.offset).unwrap_or("");
        parse_number(text).ok_or_else(|| {
            Fault::new(
                at,
                Rule::Lexical,
                format!("`{text}`"),
                "a decimal, octal (0..), hexadecimal (0x..), binary (..b) or real number",
            )
        })
    }
}

fn starts_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || ('\u{80}'..='\u{ffef}').contains(&c)
}

fn continues_word(c: char) -> bool {
    starts_word(c) || c.is_ascii_digit()
}

fn parse_number(text: &str) -> Option<Token<'static>> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if digits.contains('.') {
        return real(digits).map(|value| Token::Real(if negative { -value } else { value }));
    }
    let hex = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let magnitude = if let Some(hex) = hex {
        radix(hex, 16)?
    } else if let Some(binary) = digits.strip_suffix(['b', 'B']) {
        radix(binary, 2)?
    } else if digits.len() > 1 && digits.starts_with('0') {
        radix(digits, 8)?
    } else {
        radix(digits, 10)?
    };
    Some(Token::Integer(if negative {
        magnitude.checked_neg()?
    } else {
        magnitude
    }))
}

/// Digits of one radix; the lexer lets no second sign into a number, which `from_str_radix` would accept.
fn radix(digits: &str, radix: u32) -> Option<i128> {
    i128::from_str_radix(digits, radix).ok()
}

/// `*digit "." 1*digit [ e [sign] 1*digit ]`; Rust alone would also accept "1.".
fn real(text: &str) -> Option<f64> {
    let (_, fraction) = text.split_once('.')?;
    if !fraction.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests;
