//! Recursive descent over the tokens of one text (DSP0004 Annex A).
//!
//! The compiler calls [`Parser::next_item`] until the end; embedded instances in CIM-XML parameters go
//! through [`parse_instances`]. Depth is bounded because instances may contain instances.

mod class;
mod instance;
mod qualifier;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::ast::{InstanceItem, Item, Name, Pragma};
use crate::error::{Fault, MofError, Rule};
use crate::lexer::{Lexer, Token};
use crate::limits;
use crate::source::{FileId, Position, SourceMap};
use crate::types::{ArraySize, TypeName};

/// Reads one text item by item.
#[derive(Clone, Debug)]
pub struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    at: Position,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// Starts at the beginning of a text.
    ///
    /// # Errors
    /// When the first token is none.
    pub fn new(file: FileId, text: &'a str) -> Result<Self, Fault> {
        let mut lexer = Lexer::new(file, text);
        let (token, at) = lexer.next_token()?;
        Ok(Self {
            lexer,
            token,
            at,
            depth: 0,
        })
    }

    /// The next pragma, declaration or instance; `None` at the end of the text.
    ///
    /// # Errors
    /// The first token that does not fit the grammar.
    pub fn next_item(&mut self) -> Result<Option<Item>, Fault> {
        if self.token == Token::End {
            return Ok(None);
        }
        if self.token == Token::Mark('#') {
            return self.pragma().map(|p| Some(Item::Pragma(p)));
        }
        if self.at_word("qualifier") {
            return self.qualifier_item().map(|q| Some(Item::Qualifier(q)));
        }
        let qualifiers = self.qualifier_list()?;
        if self.take_word("class")? {
            self.class_item(qualifiers)
                .map(|class| Some(Item::Class(class)))
        } else if self.take_word("instance")? {
            self.instance_item(qualifiers)
                .map(|instance| Some(Item::Instance(instance)))
        } else {
            Err(self
                .unexpected("`class`, `instance`, `qualifier`, `#pragma` or a list of qualifiers"))
        }
    }

    fn pragma(&mut self) -> Result<Pragma, Fault> {
        self.expect_mark('#')?;
        if !self.take_word("pragma")? {
            return Err(self.unexpected("`pragma`"));
        }
        let name = self.name("the name of a pragma")?;
        self.expect_mark('(')?;
        let mut parameters = Vec::new();
        while self.token != Token::Mark(')') {
            let at = self.at;
            let text = match &self.token {
                Token::Text(_) => self.text()?,
                Token::Word(word) => {
                    let word = String::from(*word);
                    self.advance()?;
                    word
                }
                Token::Mark('=' | ',') => {
                    self.advance()?;
                    continue;
                }
                _ => return Err(self.unexpected("a parameter of the pragma or `)`")),
            };
            self.bound(parameters.len())?;
            parameters.push(Name { text, at });
        }
        self.expect_mark(')')?;
        Ok(Pragma { name, parameters })
    }

    fn advance(&mut self) -> Result<(), Fault> {
        let (token, at) = self.lexer.next_token()?;
        self.token = token;
        self.at = at;
        Ok(())
    }

    fn unexpected(&self, expected: impl Into<String>) -> Fault {
        Fault::new(self.at, Rule::Syntax, self.token.describe(), expected)
    }

    /// Fails when a list that already has `len` entries may not grow.
    fn bound(&self, len: usize) -> Result<(), Fault> {
        if len < limits::LIST {
            return Ok(());
        }
        Err(Fault::new(
            self.at,
            Rule::Limit,
            "one more entry in a list",
            format!("at most {} entries", limits::LIST),
        ))
    }

    fn at_word(&self, keyword: &str) -> bool {
        matches!(self.token, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn take_word(&mut self, keyword: &str) -> Result<bool, Fault> {
        let here = self.at_word(keyword);
        if here {
            self.advance()?;
        }
        Ok(here)
    }

    fn take_mark(&mut self, mark: char) -> Result<bool, Fault> {
        let here = self.token == Token::Mark(mark);
        if here {
            self.advance()?;
        }
        Ok(here)
    }

    fn expect_mark(&mut self, mark: char) -> Result<(), Fault> {
        if self.take_mark(mark)? {
            Ok(())
        } else {
            Err(self.unexpected(format!("`{mark}`")))
        }
    }

    fn name(&mut self, what: &str) -> Result<Name, Fault> {
        let Token::Word(word) = self.token else {
            return Err(self.unexpected(what));
        };
        let name = Name {
            text: word.into(),
            at: self.at,
        };
        self.advance()?;
        Ok(name)
    }

    /// One or more neighbouring string literals as one string.
    fn text(&mut self) -> Result<String, Fault> {
        let mut joined = String::new();
        while let Token::Text(part) = &self.token {
            if joined.len().saturating_add(part.len()) > limits::STRING_BYTES {
                return Err(Fault::new(
                    self.at,
                    Rule::Limit,
                    "a string that is too long",
                    format!("at most {} bytes", limits::STRING_BYTES),
                ));
            }
            joined.push_str(part);
            self.advance()?;
        }
        Ok(joined)
    }

    fn builtin_type(&mut self, what: &str) -> Result<TypeName, Fault> {
        let ty = match self.token {
            Token::Word(word) => TypeName::from_keyword(word),
            _ => None,
        };
        let Some(ty) = ty else {
            return Err(self.unexpected(what));
        };
        self.advance()?;
        Ok(ty)
    }

    /// `[]` or `[n]`, if there.
    fn array_size(&mut self) -> Result<Option<ArraySize>, Fault> {
        if !self.take_mark('[')? {
            return Ok(None);
        }
        if self.take_mark(']')? {
            return Ok(Some(ArraySize::Variable));
        }
        let size = match self.token {
            Token::Integer(n) if n > 0 => u32::try_from(n).ok(),
            _ => None,
        };
        let Some(size) = size else {
            return Err(self.unexpected("`]` or the number of elements of the array"));
        };
        self.advance()?;
        self.expect_mark(']')?;
        Ok(Some(ArraySize::Fixed(size)))
    }
}

/// The name of the text in errors.
const EMBEDDED: &str = "embedded instance";

/// The instances of a text that holds nothing else: the MOF form of embedded instances, as old
/// clients put it into string parameters.
///
/// ```
/// let found = cim_mof::parse_instances("instance of CIM_X { Size = 0x10; };").unwrap();
/// assert_eq!(found[0].class.text, "CIM_X");
/// ```
///
/// # Errors
/// The first thing in the text that is not an instance, or [`Rule::Limit`] for a text that is too long.
pub fn parse_instances(text: &str) -> Result<Vec<InstanceItem>, MofError> {
    let mut sources = SourceMap::new();
    if text.len() > limits::EMBEDDED_BYTES {
        let file = sources.add(EMBEDDED, "").unwrap_or_default();
        let fault = Fault::new(
            Position::start(file),
            Rule::Limit,
            format!("a text of {} bytes", text.len()),
            format!("at most {} bytes", limits::EMBEDDED_BYTES),
        );
        return Err(fault.locate(&sources));
    }
    let file = sources.add(EMBEDDED, text).unwrap_or_default();
    instances(file, text).map_err(|fault| fault.locate(&sources))
}

fn instances(file: FileId, text: &str) -> Result<Vec<InstanceItem>, Fault> {
    let mut parser = Parser::new(file, text)?;
    let mut found = Vec::new();
    loop {
        let at = parser.at;
        match parser.next_item()? {
            None => return Ok(found),
            Some(Item::Instance(instance)) => found.push(instance),
            Some(_) => {
                return Err(Fault::new(
                    at,
                    Rule::Syntax,
                    "a declaration",
                    "`instance of`",
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests;
