//! [`SelectQuery`]: a CQL or WQL statement.

use crate::ast::{Condition, Operand};
use crate::check::Checker;
use crate::error::{Feature, QueryError, QueryErrorKind};
use crate::eval::Evaluator;
use crate::language::Language;
use crate::oracle::{ClassOracle, Row};
use crate::parser::Parser;
use crate::project::{Column, add};
use crate::token::{Symbol, Token};
use crate::truth::Truth;
use alloc::string::String;
use alloc::vec::Vec;
use cim_model::{ClassName, Instance, PropertyName};

/// A SELECT statement over one class.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectQuery {
    /// The columns of the result.
    pub select: SelectList,
    /// The class whose instances (those of its subclasses included) are searched.
    pub class: ClassName,
    /// Where the class name stands, in characters from 1.
    pub class_position: usize,
    /// The name of the row in the query, or empty.
    pub alias: String,
    /// The condition; without one every instance is selected.
    pub condition: Option<Condition>,
}

/// What a query returns of each selected row.
#[derive(Clone, Debug, PartialEq)]
pub enum SelectList {
    /// Everything.
    All,
    /// These values.
    Columns(Vec<Column>),
}

impl SelectQuery {
    /// Parses a statement in CQL or WQL.
    ///
    /// # Errors
    /// [`QueryError`] with the position of the first mistake.
    pub fn parse(language: Language, query: &str) -> Result<Self, QueryError> {
        let mut parser = Parser::new(language, query)?;
        if !parser.keyword("SELECT") {
            return Err(parser.expected("SELECT"));
        }
        if parser.at_keyword(0, "DISTINCT") {
            return Err(parser.unsupported(Feature::ResultSetOperations));
        }
        let select = select_list(&mut parser)?;
        if !parser.keyword("FROM") {
            return Err(parser.expected("\",\" or FROM"));
        }
        if *parser.peek() == Token::Symbol(Symbol::Open) {
            return Err(parser.unsupported(Feature::Subquery));
        }
        if matches!(parser.peek(), Token::Text(_)) && language == Language::Cql {
            return Err(parser.unsupported(Feature::ForeignNamespace));
        }
        let class_position = parser.position();
        let class = parser.class_name()?;
        let alias = alias(&mut parser)?;
        if *parser.peek() == Token::Symbol(Symbol::Comma) {
            return Err(parser.unsupported(Feature::Join));
        }
        // The polling interval of WMI event queries; our events need no polling.
        if language == Language::Wql && parser.keyword("WITHIN") {
            match parser.peek() {
                Token::Integer(_) | Token::Real(_) => parser.advance(),
                _ => return Err(parser.expected("a number of seconds")),
            }
        }
        let condition = if parser.keyword("WHERE") {
            Some(parser.condition()?)
        } else {
            None
        };
        let tail = ["ORDER", "ORDERED", "FIRST", "GROUP", "HAVING", "UNION"];
        if tail.iter().any(|keyword| parser.at_keyword(0, keyword)) {
            return Err(parser.unsupported(Feature::ResultSetOperations));
        }
        if condition.is_none()
            && *parser.peek() != Token::End
            && *parser.peek() != Token::Symbol(Symbol::Semicolon)
        {
            return Err(parser.expected("WHERE or the end"));
        }
        parser.end()?;
        Ok(SelectQuery {
            select,
            class,
            class_position,
            alias,
            condition,
        })
    }

    /// Checks class, property names and types against the schema.
    ///
    /// # Errors
    /// [`QueryError`] for an unknown class or property, or values that cannot be compared.
    pub fn check(&self, oracle: &dyn ClassOracle) -> Result<(), QueryError> {
        if !oracle.class_exists(self.class.as_str()) {
            let kind = QueryErrorKind::UnknownClass(self.class.text().clone());
            return Err(QueryError::new(kind, self.class_position));
        }
        let mut checker = Checker::new(self.class.as_str(), &self.alias, oracle);
        if let SelectList::Columns(columns) = &self.select {
            for column in columns {
                if let Operand::Property(path) = &column.value {
                    checker.path(path)?;
                }
            }
        }
        self.condition
            .as_ref()
            .map_or(Ok(()), |condition| checker.condition(condition))
    }

    /// Whether a row is selected. The caller offers only instances of [`SelectQuery::class`].
    pub fn matches(&self, row: &Row<'_>, oracle: &dyn ClassOracle) -> Truth {
        match &self.condition {
            None => Truth::True,
            Some(condition) => Evaluator::new(row, &self.alias, oracle)
                .over_class(self.class.as_str())
                .condition(condition),
        }
    }

    /// The selected columns of a row. The result keeps the class and the path of the row.
    pub fn project(&self, row: &Row<'_>, oracle: &dyn ClassOracle) -> Instance {
        let SelectList::Columns(columns) = &self.select else {
            return row.instance.clone();
        };
        let mut result = Instance::new(row.instance.class.clone());
        result.path = row.path.cloned();
        let mut evaluator =
            Evaluator::new(row, &self.alias, oracle).over_class(self.class.as_str());
        for column in columns {
            let property = match self.plain_property(column) {
                // A copied property keeps what the value alone does not tell: its NULL type, its origin.
                Some(name) => row.instance.property(name.as_str()).cloned(),
                None => None,
            };
            let property = match property {
                Some(property) => cim_model::Property {
                    name: column.name.clone(),
                    ..property
                },
                None => column.property(&mut evaluator),
            };
            add(&mut result, property);
        }
        result
    }

    /// The property of the row that a column copies unchanged, if it is that simple.
    fn plain_property<'a>(&self, column: &'a Column) -> Option<&'a PropertyName> {
        let Operand::Property(path) = &column.value else {
            return None;
        };
        match crate::path::from_row(path, &[&self.alias, self.class.as_str()]) {
            [only] if only.scope.is_none() && only.index.is_none() => Some(&only.name),
            _ => None,
        }
    }
}

/// select-list = "*" | column *("," column)
fn select_list(parser: &mut Parser) -> Result<SelectList, QueryError> {
    if parser.symbol(Symbol::Star) {
        return Ok(SelectList::All);
    }
    let mut columns = Vec::new();
    let mut everything = false;
    loop {
        // `alias.*` and `Class.*` select everything.
        let dotted_star = matches!(parser.peek(), Token::Word(_))
            && parser.at_symbol(1, Symbol::Dot)
            && parser.at_symbol(2, Symbol::Star);
        if dotted_star {
            (0..3).for_each(|_| parser.advance());
            everything = true;
        } else {
            columns.push(column(parser)?);
        }
        if !parser.symbol(Symbol::Comma) {
            break;
        }
    }
    Ok(if everything {
        SelectList::All
    } else {
        SelectList::Columns(columns)
    })
}

fn column(parser: &mut Parser) -> Result<Column, QueryError> {
    let value = parser.operand()?;
    if let Operand::Elements(..) = value {
        return Err(parser.expected("a property without ANY or EVERY"));
    }
    let named = if parser.keyword("AS") {
        Some(parser.word("a name")?)
    } else {
        None
    };
    let name = match (named, &value) {
        (Some(name), _) => PropertyName::from(name),
        (None, Operand::Property(path)) => path.last_name().cloned().unwrap_or_default(),
        (None, Operand::Call(function, _, _)) => PropertyName::from(function.name()),
        _ => return Err(parser.expected("AS and a name for the value")),
    };
    Ok(Column { name, value })
}

/// alias = ["AS"] name, unless the next word opens the next clause
fn alias(parser: &mut Parser) -> Result<String, QueryError> {
    if parser.keyword("AS") {
        return parser.word("an alias");
    }
    let clauses = [
        "WHERE", "WITHIN", "ORDER", "ORDERED", "FIRST", "GROUP", "HAVING", "UNION", "JOIN", "INNER",
    ];
    if ["JOIN", "INNER"]
        .iter()
        .any(|keyword| parser.at_keyword(0, keyword))
    {
        return Err(parser.unsupported(Feature::Join));
    }
    match parser.peek() {
        Token::Word(word)
            if !clauses
                .iter()
                .any(|clause| word.eq_ignore_ascii_case(clause)) =>
        {
            parser.word("WHERE or an alias")
        }
        _ => Ok(String::new()),
    }
}
