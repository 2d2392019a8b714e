//! Qualifier declarations and the qualifier lists in front of elements.

use alloc::vec::Vec;

use super::Parser;
use crate::ast::{QualifierItem, QualifierUse};
use crate::error::{Fault, Rule};
use crate::lexer::Token;
use crate::types::{FlavorSpec, OverrideFlavor, Propagation, Scope, Scopes};

impl Parser<'_> {
    /// `Qualifier name : type [= value], Scope (...) [, Flavor (...)];`
    pub(super) fn qualifier_item(&mut self) -> Result<QualifierItem, Fault> {
        self.advance()?;
        let name = self.name("the name of a qualifier")?;
        self.expect_mark(':')?;
        let ty = self.builtin_type("the type of the qualifier")?;
        let array = self.array_size()?;
        let default = if self.take_mark('=')? {
            Some(self.initializer()?)
        } else {
            None
        };
        self.expect_mark(',')?;
        if !self.take_word("scope")? {
            return Err(self.unexpected("`Scope`"));
        }
        let scopes = self.scopes()?;
        let mut flavors = FlavorSpec::default();
        if self.take_mark(',')? {
            if !self.take_word("flavor")? {
                return Err(self.unexpected("`Flavor`"));
            }
            self.expect_mark('(')?;
            loop {
                if !self.flavor(&mut flavors)? {
                    return Err(self.unexpected(FLAVORS));
                }
                if !self.take_mark(',')? {
                    break;
                }
            }
            self.expect_mark(')')?;
        }
        self.expect_mark(';')?;
        Ok(QualifierItem {
            name,
            ty,
            array,
            default,
            scopes,
            flavors,
        })
    }

    fn scopes(&mut self) -> Result<Scopes, Fault> {
        self.expect_mark('(')?;
        let mut scopes = Scopes::NONE;
        loop {
            let Token::Word(word) = self.token else {
                return Err(self.unexpected(SCOPES));
            };
            if word.eq_ignore_ascii_case("any") {
                scopes = Scopes::ANY;
            } else {
                let known = Scope::ALL
                    .into_iter()
                    .find(|scope| scope.keyword().eq_ignore_ascii_case(word));
                match known {
                    Some(scope) => scopes = scopes.with(scope),
                    // In the grammar since CIM 2.0, without any element that they could apply to.
                    None if ["schema", "qualifier"]
                        .iter()
                        .any(|k| k.eq_ignore_ascii_case(word)) => {}
                    None => return Err(self.unexpected(SCOPES)),
                }
            }
            self.advance()?;
            if !self.take_mark(',')? {
                break;
            }
        }
        self.expect_mark(')')?;
        Ok(scopes)
    }

    /// `[ Name (value) : Flavor ..., ... ]`, if there.
    pub(super) fn qualifier_list(&mut self) -> Result<Vec<QualifierUse>, Fault> {
        let mut list = Vec::new();
        if !self.take_mark('[')? {
            return Ok(list);
        }
        loop {
            self.bound(list.len())?;
            list.push(self.qualifier_use()?);
            if !self.take_mark(',')? {
                break;
            }
        }
        if !self.take_mark(']')? {
            return Err(self.unexpected("`,` or `]` after a qualifier"));
        }
        Ok(list)
    }

    fn qualifier_use(&mut self) -> Result<QualifierUse, Fault> {
        let name = self.name("the name of a qualifier")?;
        let value = match self.token {
            Token::Mark('(') => {
                self.advance()?;
                let value = self.initializer()?;
                self.expect_mark(')')?;
                Some(value)
            }
            Token::Mark('{') => Some(self.initializer()?),
            _ => None,
        };
        let mut flavors = FlavorSpec::default();
        if self.take_mark(':')? {
            if !self.flavor(&mut flavors)? {
                return Err(self.unexpected(FLAVORS));
            }
            while self.flavor(&mut flavors)? {}
        }
        Ok(QualifierUse {
            name,
            value,
            flavors,
        })
    }

    /// Takes one flavor keyword, if there, into the specification.
    fn flavor(&mut self, spec: &mut FlavorSpec) -> Result<bool, Fault> {
        let Token::Word(word) = self.token else {
            return Ok(false);
        };
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
        let overriding = if is("EnableOverride") {
            Some(OverrideFlavor::Enable)
        } else if is("DisableOverride") {
            Some(OverrideFlavor::Disable)
        } else {
            None
        };
        let propagation = if is("ToSubclass") {
            Some(Propagation::ToSubclass)
        } else if is("Restricted") {
            Some(Propagation::Restricted)
        } else {
            None
        };
        if overriding.is_some() {
            if spec.overriding.is_some_and(|old| Some(old) != overriding) {
                return Err(self.contradiction("EnableOverride or DisableOverride, not both"));
            }
            spec.overriding = overriding;
        } else if propagation.is_some() {
            if spec.propagation.is_some_and(|old| Some(old) != propagation) {
                return Err(self.contradiction("ToSubclass or Restricted, not both"));
            }
            spec.propagation = propagation;
        } else if is("Translatable") {
            spec.translatable = true;
        } else if !is("ToInstance") {
            // ToInstance was withdrawn in DSP0004 2.6 and means nothing; old texts still carry it.
            return Ok(false);
        }
        self.advance()?;
        Ok(true)
    }

    fn contradiction(&self, expected: &str) -> Fault {
        Fault::new(self.at, Rule::Flavor, self.token.describe(), expected)
    }
}

const FLAVORS: &str = "EnableOverride, DisableOverride, ToSubclass, Restricted or Translatable";
const SCOPES: &str =
    "class, association, indication, property, reference, method, parameter or any";
