//! Instances, and the values that they, defaults and qualifiers share.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use super::Parser;
use crate::ast::{Initializer, InstanceItem, Literal, Name, QualifierUse, ValueItem};
use crate::error::{Fault, Rule};
use crate::lexer::Token;
use crate::limits;

impl Parser<'_> {
    /// The rest of an instance, from `of` to the closing `;`.
    pub(super) fn instance_item(
        &mut self,
        qualifiers: Vec<QualifierUse>,
    ) -> Result<InstanceItem, Fault> {
        let instance = self.instance_body(qualifiers)?;
        self.expect_mark(';')?;
        Ok(instance)
    }

    /// `of Class [as $alias] { ... }`
    fn instance_body(&mut self, qualifiers: Vec<QualifierUse>) -> Result<InstanceItem, Fault> {
        if self.depth >= limits::NESTING {
            return Err(Fault::new(
                self.at,
                Rule::Limit,
                "an instance nested too deeply",
                format!("at most {} levels", limits::NESTING),
            ));
        }
        self.depth = self.depth.saturating_add(1);
        if !self.take_word("of")? {
            return Err(self.unexpected("`of`"));
        }
        let class = self.name("the name of a class")?;
        let alias = if self.take_word("as")? {
            let Token::Alias(alias) = self.token else {
                return Err(self.unexpected("an alias such as `$Name`"));
            };
            let alias = Name {
                text: alias.into(),
                at: self.at,
            };
            self.advance()?;
            Some(alias)
        } else {
            None
        };
        if !self.take_mark('{')? {
            return Err(self.unexpected("`{`, or `as` and an alias"));
        }
        let mut values = Vec::new();
        while !self.take_mark('}')? {
            self.bound(values.len())?;
            // Qualifiers on instance values are in the grammar and have no meaning.
            self.qualifier_list()?;
            let name = self.name("the name of a property, or `}`")?;
            self.expect_mark('=')?;
            let value = self.initializer()?;
            if !self.take_mark(';')? {
                return Err(self.unexpected("`;` after a value"));
            }
            values.push(ValueItem { name, value });
        }
        self.depth = self.depth.saturating_sub(1);
        Ok(InstanceItem {
            class,
            alias,
            qualifiers,
            values,
        })
    }

    /// A single value or `{ ... }`.
    pub(super) fn initializer(&mut self) -> Result<Initializer, Fault> {
        let at = self.at;
        if !self.take_mark('{')? {
            return self.scalar();
        }
        let mut elements = Vec::new();
        if !self.take_mark('}')? {
            loop {
                self.bound(elements.len())?;
                elements.push(self.scalar()?);
                if !self.take_mark(',')? {
                    break;
                }
            }
            if !self.take_mark('}')? {
                return Err(self.unexpected("`,` or `}` after an element"));
            }
        }
        Ok(Initializer {
            literal: Literal::Array(elements),
            at,
        })
    }

    fn scalar(&mut self) -> Result<Initializer, Fault> {
        let at = self.at;
        if matches!(self.token, Token::Text(_)) {
            let literal = Literal::Text(self.text()?);
            return Ok(Initializer { literal, at });
        }
        if self.take_word("instance")? {
            let instance = self.instance_body(Vec::new())?;
            let literal = Literal::Instance(Box::new(instance));
            return Ok(Initializer { literal, at });
        }
        let is = |word: &str, keyword: &str| word.eq_ignore_ascii_case(keyword);
        let literal = match self.token {
            Token::Integer(value) => Literal::Integer(value),
            Token::Real(value) => Literal::Real(value),
            Token::Char(unit) => Literal::Char(unit),
            Token::Alias(name) => Literal::Alias(name.into()),
            Token::Word(word) if is(word, "null") => Literal::Null,
            Token::Word(word) if is(word, "true") => Literal::Boolean(true),
            Token::Word(word) if is(word, "false") => Literal::Boolean(false),
            _ => return Err(self.unexpected("a value")),
        };
        self.advance()?;
        Ok(Initializer { literal, at })
    }
}
