//! The tokens of the query languages.

use alloc::string::String;
use core::fmt;

/// The longest query that is accepted, in bytes.
pub const MAX_LENGTH: usize = 16 * 1024;

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A name or keyword; which one only the grammar knows.
    Word(String),
    /// A quoted string, unescaped.
    Text(String),
    /// A decimal, hexadecimal or binary integer without sign.
    Integer(u64),
    /// A real without sign.
    Real(f64),
    /// Punctuation or an operator.
    Symbol(Symbol),
    /// The end of the query.
    End,
}

/// Punctuation and operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Symbol {
    Comma,
    Dot,
    Range,
    Scope,
    Hash,
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Star,
    Plus,
    Minus,
    Slash,
    Concat,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Semicolon,
}

impl Symbol {
    /// Longest spellings first, so that the first match is the right one.
    pub(crate) const SPELLINGS: [(&'static str, Symbol); 22] = [
        ("..", Symbol::Range),
        ("::", Symbol::Scope),
        ("||", Symbol::Concat),
        ("<>", Symbol::NotEqual),
        ("!=", Symbol::NotEqual),
        ("<=", Symbol::LessEqual),
        (">=", Symbol::GreaterEqual),
        (",", Symbol::Comma),
        (".", Symbol::Dot),
        ("#", Symbol::Hash),
        ("(", Symbol::Open),
        (")", Symbol::Close),
        ("[", Symbol::OpenBracket),
        ("]", Symbol::CloseBracket),
        ("*", Symbol::Star),
        ("+", Symbol::Plus),
        ("-", Symbol::Minus),
        ("/", Symbol::Slash),
        ("=", Symbol::Equal),
        ("<", Symbol::Less),
        (">", Symbol::Greater),
        (";", Symbol::Semicolon),
    ];

    fn spelling(self) -> &'static str {
        Self::SPELLINGS
            .iter()
            .find(|(_, symbol)| *symbol == self)
            .map_or("", |(text, _)| text)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(word) => write!(f, "\"{word}\""),
            Token::Text(_) => f.write_str("a string"),
            Token::Integer(value) => write!(f, "the number {value}"),
            Token::Real(value) => write!(f, "the number {value:?}"),
            Token::Symbol(symbol) => write!(f, "\"{}\"", symbol.spelling()),
            Token::End => f.write_str("the end"),
        }
    }
}
