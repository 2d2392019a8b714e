//! Classes with their properties, references and methods.

use alloc::vec::Vec;

use super::Parser;
use crate::ast::{
    ClassItem, MethodItem, Name, ParameterItem, PropertyItem, QualifierUse, TypeItem,
};
use crate::error::Fault;
use crate::lexer::Token;
use crate::types::TypeName;

impl Parser<'_> {
    /// The rest of a class, from its name on.
    pub(super) fn class_item(&mut self, qualifiers: Vec<QualifierUse>) -> Result<ClassItem, Fault> {
        let name = self.name("the name of a class")?;
        // Annex A before DSP0004 2.6 let a class have an alias, which nothing can refer to.
        if self.take_word("as")? {
            if !matches!(self.token, Token::Alias(_)) {
                return Err(self.unexpected("an alias such as `$Name`"));
            }
            self.advance()?;
        }
        let superclass = if self.take_mark(':')? {
            Some(self.name("the name of the superclass")?)
        } else {
            None
        };
        if !self.take_mark('{')? {
            return Err(self.unexpected(if superclass.is_some() {
                "`{`"
            } else {
                "`:` and a superclass, or `{`"
            }));
        }
        let mut properties = Vec::new();
        let mut methods = Vec::new();
        while !self.take_mark('}')? {
            self.bound(properties.len())?;
            self.bound(methods.len())?;
            self.feature(&mut properties, &mut methods)?;
        }
        self.expect_mark(';')?;
        Ok(ClassItem {
            name,
            superclass,
            qualifiers,
            properties,
            methods,
        })
    }

    fn feature(
        &mut self,
        properties: &mut Vec<PropertyItem>,
        methods: &mut Vec<MethodItem>,
    ) -> Result<(), Fault> {
        let qualifiers = self.qualifier_list()?;
        let ty = self.feature_type("the type of a property or method, or `}`")?;
        let name = self.name("the name of a property or method")?;
        if self.token == Token::Mark('(') {
            let TypeItem::Builtin(returns) = ty else {
                return Err(self.unexpected("`;`, because a method cannot return a reference"));
            };
            methods.push(self.method(name, returns, qualifiers)?);
            return Ok(());
        }
        let array = self.array_size()?;
        let default = if self.take_mark('=')? {
            Some(self.initializer()?)
        } else {
            None
        };
        if !self.take_mark(';')? {
            return Err(self.unexpected("`;` after a property"));
        }
        properties.push(PropertyItem {
            name,
            ty,
            array,
            default,
            qualifiers,
        });
        Ok(())
    }

    fn method(
        &mut self,
        name: Name,
        returns: TypeName,
        qualifiers: Vec<QualifierUse>,
    ) -> Result<MethodItem, Fault> {
        self.expect_mark('(')?;
        let mut parameters = Vec::new();
        if !self.take_mark(')')? {
            loop {
                self.bound(parameters.len())?;
                let qualifiers = self.qualifier_list()?;
                let ty = self.feature_type("the type of a parameter")?;
                let name = self.name("the name of a parameter")?;
                let array = self.array_size()?;
                parameters.push(ParameterItem {
                    name,
                    ty,
                    array,
                    qualifiers,
                });
                if !self.take_mark(',')? {
                    break;
                }
            }
            if !self.take_mark(')')? {
                return Err(self.unexpected("`,` or `)` after a parameter"));
            }
        }
        if !self.take_mark(';')? {
            return Err(self.unexpected("`;` after a method"));
        }
        Ok(MethodItem {
            name,
            returns,
            parameters,
            qualifiers,
        })
    }

    /// An intrinsic type, or `Class REF`.
    fn feature_type(&mut self, what: &str) -> Result<TypeItem, Fault> {
        let first = self.name(what)?;
        // First the built-in types: `uint8 Ref` is a property named Ref.
        match TypeName::from_keyword(&first.text) {
            Some(ty) => Ok(TypeItem::Builtin(ty)),
            None if self.take_word("ref")? => Ok(TypeItem::Reference(first)),
            None => Err(Fault::new(
                first.at,
                crate::error::Rule::Syntax,
                alloc::format!("`{}`", first.text),
                "an intrinsic type, or a class followed by REF",
            )),
        }
    }
}
