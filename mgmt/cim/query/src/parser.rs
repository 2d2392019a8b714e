//! The condition grammar of the three languages.

use crate::ast::{
    Arithmetic, Comparison, Condition, Function, Operand, PropertyPath, Quantifier, Segment,
};
use crate::error::{Feature, QueryError, QueryErrorKind};
use crate::language::Language;
use crate::lexer::{Placed, tokens};
use crate::pattern::Pattern;
use crate::token::{Symbol, Token};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cim_model::{ClassName, PropertyName, Scalar, Text};

/// The deepest nesting of parentheses, NOT and function calls that is accepted.
pub const MAX_DEPTH: usize = 64;

/// A cursor over the tokens of a query.
pub(crate) struct Parser {
    tokens: Vec<Placed>,
    next: usize,
    depth: usize,
    pub(crate) language: Language,
}

const END: &Placed = &(Token::End, 0);

impl Parser {
    pub(crate) fn new(language: Language, query: &str) -> Result<Self, QueryError> {
        Ok(Parser {
            tokens: tokens(query)?,
            next: 0,
            depth: 0,
            language,
        })
    }

    fn placed(&self, ahead: usize) -> &Placed {
        self.tokens
            .get(self.next + ahead)
            .or(self.tokens.last())
            .unwrap_or(END)
    }

    pub(crate) fn peek(&self) -> &Token {
        &self.placed(0).0
    }

    pub(crate) fn position(&self) -> usize {
        self.placed(0).1
    }

    pub(crate) fn expected(&self, expected: &'static str) -> QueryError {
        let found = self.peek().to_string();
        QueryError::new(QueryErrorKind::Syntax { expected, found }, self.position())
    }

    pub(crate) fn unsupported(&self, feature: Feature) -> QueryError {
        QueryError::new(QueryErrorKind::Unsupported(feature), self.position())
    }

    pub(crate) fn advance(&mut self) {
        self.next += 1;
    }

    pub(crate) fn at_keyword(&self, ahead: usize, keyword: &str) -> bool {
        matches!(&self.placed(ahead).0, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    pub(crate) fn keyword(&mut self, keyword: &str) -> bool {
        let there = self.at_keyword(0, keyword);
        self.next += usize::from(there);
        there
    }

    pub(crate) fn at_symbol(&self, ahead: usize, symbol: Symbol) -> bool {
        self.placed(ahead).0 == Token::Symbol(symbol)
    }

    pub(crate) fn symbol(&mut self, symbol: Symbol) -> bool {
        let there = self.at_symbol(0, symbol);
        self.next += usize::from(there);
        there
    }

    pub(crate) fn require(
        &mut self,
        symbol: Symbol,
        expected: &'static str,
    ) -> Result<(), QueryError> {
        if self.symbol(symbol) {
            Ok(())
        } else {
            Err(self.expected(expected))
        }
    }

    pub(crate) fn word(&mut self, expected: &'static str) -> Result<String, QueryError> {
        match self.peek() {
            Token::Word(word) if !is_reserved(word) => {
                let word = word.clone();
                self.advance();
                Ok(word)
            }
            _ => Err(self.expected(expected)),
        }
    }

    pub(crate) fn end(&mut self) -> Result<(), QueryError> {
        self.symbol(Symbol::Semicolon);
        match self.peek() {
            Token::End => Ok(()),
            _ => Err(self.expected("AND, OR or the end")),
        }
    }

    fn deeper<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        if self.depth >= MAX_DEPTH {
            return Err(QueryError::new(
                QueryErrorKind::Limit("the query is nested more than 64 levels deep"),
                self.position(),
            ));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// condition = conjunction *("OR" conjunction)
    pub(crate) fn condition(&mut self) -> Result<Condition, QueryError> {
        self.deeper(|parser| {
            let mut parts = Vec::from([parser.conjunction()?]);
            while parser.keyword("OR") {
                parts.push(parser.conjunction()?);
            }
            Ok(one_or(parts, Condition::Or))
        })
    }

    /// conjunction = factor *("AND" factor)
    fn conjunction(&mut self) -> Result<Condition, QueryError> {
        let mut parts = Vec::from([self.factor()?]);
        while self.keyword("AND") {
            parts.push(self.factor()?);
        }
        Ok(one_or(parts, Condition::And))
    }

    /// factor = *"NOT" (parenthesised condition | predicate)
    fn factor(&mut self) -> Result<Condition, QueryError> {
        if self.keyword("NOT") {
            let inner = self.deeper(Self::factor)?;
            return Ok(Condition::Not(Box::new(inner)));
        }
        if self.at_symbol(0, Symbol::Open) && !self.operator_follows_parenthesis() {
            self.advance();
            if self.at_keyword(0, "SELECT") {
                return Err(self.unsupported(Feature::Subquery));
            }
            let inner = self.condition()?;
            self.require(Symbol::Close, "AND, OR or \")\"")?;
            return Ok(inner);
        }
        self.predicate()
    }

    /// A parenthesis holds a value if an operator follows its end, else a condition. Looking ahead instead of
    /// trying both keeps parsing linear: the nesting is bounded, so each token is looked at a bounded number of
    /// times.
    fn operator_follows_parenthesis(&self) -> bool {
        let mut open = 0usize;
        for (ahead, (token, _)) in self.tokens.iter().enumerate().skip(self.next) {
            match token {
                Token::Symbol(Symbol::Open) => open += 1,
                Token::Symbol(Symbol::Close) if open == 1 => return self.operator_at(ahead + 1),
                Token::Symbol(Symbol::Close) => open = open.saturating_sub(1),
                _ => {}
            }
        }
        false
    }

    fn operator_at(&self, index: usize) -> bool {
        match self.tokens.get(index).map(|(token, _)| token) {
            Some(Token::Symbol(symbol)) => {
                comparison_of(*symbol).is_some() || arithmetic_of(*symbol).is_some()
            }
            Some(Token::Word(word)) => ["IS", "LIKE", "ISA"]
                .iter()
                .any(|keyword| word.eq_ignore_ascii_case(keyword)),
            _ => false,
        }
    }

    fn predicate(&mut self) -> Result<Condition, QueryError> {
        if self.at_satisfies() {
            return self.satisfies();
        }
        if let Some(class) = self.isa_of_row()? {
            return Ok(Condition::IsA(None, class));
        }
        let left = self.operand()?;
        if let Some(operator) = self.comparison_ahead() {
            self.advance();
            return self.compared(left, operator);
        }
        if self.keyword("IS") {
            let negated = self.keyword("NOT");
            if !self.keyword("NULL") {
                return Err(self.expected("NULL"));
            }
            return Ok(negate_if(negated, Condition::IsNull(left)));
        }
        if self.at_keyword(0, "ISA") {
            let Operand::Property(path) = left else {
                return Err(self.expected("a comparison"));
            };
            self.advance();
            return Ok(Condition::IsA(Some(path), self.class_name()?));
        }
        let negated =
            self.at_keyword(0, "NOT") && self.at_keyword(1, "LIKE") && self.keyword("NOT");
        if self.keyword("LIKE") {
            let pattern = self.pattern()?;
            return Ok(negate_if(negated, Condition::Like(left, pattern)));
        }
        match left {
            Operand::Literal(Some(Scalar::Boolean(_)))
            | Operand::Property(_)
            | Operand::Elements(..)
            | Operand::Literal(None) => Ok(Condition::Holds(left)),
            _ => Err(self.expected("a comparison")),
        }
    }

    fn compared(&mut self, left: Operand, operator: Comparison) -> Result<Condition, QueryError> {
        let position = self.position();
        let right = self.operand()?;
        let is_null = |operand: &Operand| matches!(operand, Operand::Literal(None));
        let other = match (is_null(&left), is_null(&right)) {
            (false, false) => return Ok(Condition::Compare(left, operator, right)),
            (false, true) => left,
            (true, _) => right,
        };
        // WMI tools write "= NULL" and "<> NULL" for IS NULL and IS NOT NULL.
        match (self.language, operator) {
            (Language::Wql, Comparison::Equal) => Ok(Condition::IsNull(other)),
            (Language::Wql, Comparison::NotEqual) => Ok(negate_if(true, Condition::IsNull(other))),
            _ => Err(QueryError::new(
                QueryErrorKind::Types("NULL is tested with IS NULL, not compared"),
                position,
            )),
        }
    }

    fn pattern(&mut self) -> Result<Pattern, QueryError> {
        let Token::Text(text) = self.peek() else {
            return Err(self.expected("a pattern in quotes"));
        };
        let pattern = match self.language {
            Language::Wql => Pattern::wildcard(text),
            Language::Cql | Language::Fql => Pattern::regular(text),
        };
        let pattern = pattern
            .map_err(|error| QueryError::new(QueryErrorKind::Pattern(error.0), self.position()))?;
        self.advance();
        Ok(pattern)
    }

    fn comparison_ahead(&self) -> Option<Comparison> {
        if let Token::Symbol(symbol) = self.peek() {
            comparison_of(*symbol)
        } else {
            None
        }
    }

    fn arithmetic_ahead(&self) -> Option<Arithmetic> {
        if let Token::Symbol(symbol) = self.peek() {
            arithmetic_of(*symbol)
        } else {
            None
        }
    }

    /// `ISA Class` or WQL's `__THIS ISA "Class"` speak of the row itself.
    fn isa_of_row(&mut self) -> Result<Option<ClassName>, QueryError> {
        let this = usize::from(self.at_keyword(0, "__THIS"));
        if !self.at_keyword(this, "ISA") {
            return Ok(None);
        }
        self.next += this + 1;
        self.class_name().map(Some)
    }

    /// A class name, bare or quoted: WQL quotes it.
    pub(crate) fn class_name(&mut self) -> Result<ClassName, QueryError> {
        if let Token::Text(text) = self.peek() {
            let class = ClassName::copy(text);
            self.advance();
            return Ok(class);
        }
        self.word("a class name").map(ClassName::from)
    }

    /// `ANY x IN array SATISFIES (...)`; plain `ANY array` is the DSP0212 form.
    fn at_satisfies(&self) -> bool {
        (self.at_keyword(0, "ANY") || self.at_keyword(0, "EVERY"))
            && matches!(self.placed(1).0, Token::Word(_))
            && self.at_keyword(2, "IN")
    }

    fn quantifier(&mut self) -> Option<Quantifier> {
        if self.keyword("ANY") {
            Some(Quantifier::Any)
        } else if self.keyword("EVERY") {
            Some(Quantifier::Every)
        } else {
            None
        }
    }

    fn satisfies(&mut self) -> Result<Condition, QueryError> {
        let quantifier = self
            .quantifier()
            .ok_or_else(|| self.expected("ANY or EVERY"))?;
        let name = self.word("a name for the element")?;
        if !self.keyword("IN") {
            return Err(self.expected("IN"));
        }
        let array = self.path()?;
        if !self.keyword("SATISFIES") {
            return Err(self.expected("SATISFIES"));
        }
        self.require(Symbol::Open, "\"(\"")?;
        let condition = Box::new(self.condition()?);
        self.require(Symbol::Close, "AND, OR or \")\"")?;
        Ok(Condition::Satisfies {
            quantifier,
            name,
            array,
            condition,
        })
    }

    /// operand = product *(("+" | "-" | "||") product)
    pub(crate) fn operand(&mut self) -> Result<Operand, QueryError> {
        self.deeper(|parser| {
            let mut left = parser.product()?;
            while let Some(
                operator @ (Arithmetic::Add | Arithmetic::Subtract | Arithmetic::Concatenate),
            ) = parser.arithmetic_ahead()
            {
                left = parser.joined(left, operator, Self::product)?;
            }
            Ok(left)
        })
    }

    fn product(&mut self) -> Result<Operand, QueryError> {
        let mut left = self.value()?;
        while let Some(operator @ (Arithmetic::Multiply | Arithmetic::Divide)) =
            self.arithmetic_ahead()
        {
            left = self.joined(left, operator, Self::value)?;
        }
        Ok(left)
    }

    /// Chains of one precedence nest to the left; the depth limit keeps dropping and evaluating them bounded.
    fn joined(
        &mut self,
        left: Operand,
        operator: Arithmetic,
        parse: fn(&mut Self) -> Result<Operand, QueryError>,
    ) -> Result<Operand, QueryError> {
        self.advance();
        if depth_of(&left) > MAX_DEPTH {
            let limit = QueryErrorKind::Limit("the query is nested more than 64 levels deep");
            return Err(QueryError::new(limit, self.position()));
        }
        Ok(Operand::Arithmetic(
            Box::new(left),
            operator,
            Box::new(parse(self)?),
        ))
    }

    fn value(&mut self) -> Result<Operand, QueryError> {
        let literal = |scalar: Scalar| Operand::Literal(Some(scalar));
        let negative = self.symbol(Symbol::Minus);
        if !negative {
            self.symbol(Symbol::Plus);
        }
        let operand = match self.peek() {
            Token::Integer(value) if negative => {
                let value = 0i64.checked_sub_unsigned(*value).ok_or_else(|| {
                    QueryError::new(
                        QueryErrorKind::Limit("the number is too large"),
                        self.position(),
                    )
                })?;
                literal(Scalar::Sint64(value))
            }
            Token::Integer(value) => literal(Scalar::Uint64(*value)),
            Token::Real(value) => literal(Scalar::Real64(if negative { -value } else { *value })),
            _ if negative => return Err(self.expected("a number")),
            Token::Text(text) => literal(Scalar::String(Text::copy(text))),
            Token::Word(word) if word.eq_ignore_ascii_case("TRUE") => {
                literal(Scalar::Boolean(true))
            }
            Token::Word(word) if word.eq_ignore_ascii_case("FALSE") => {
                literal(Scalar::Boolean(false))
            }
            Token::Word(word) if word.eq_ignore_ascii_case("NULL") => Operand::Literal(None),
            Token::Symbol(Symbol::Open) => {
                self.advance();
                if self.at_keyword(0, "SELECT") {
                    return Err(self.unsupported(Feature::Subquery));
                }
                let inner = self.operand()?;
                self.require(Symbol::Close, "\")\"")?;
                return Ok(inner);
            }
            Token::Word(_) => return self.named_value(),
            _ => return Err(self.expected("a property or a value")),
        };
        self.advance();
        Ok(operand)
    }

    fn named_value(&mut self) -> Result<Operand, QueryError> {
        if let Some(quantifier) = self.quantifier() {
            return Ok(Operand::Elements(quantifier, self.path()?));
        }
        if self.at_symbol(1, Symbol::Open) {
            return self.call();
        }
        let path = self.path()?;
        if !self.symbol(Symbol::Hash) {
            return Ok(Operand::Property(path));
        }
        let Token::Text(value) = self.peek() else {
            return Err(self.expected("a string"));
        };
        let value = value.clone();
        self.advance();
        Ok(Operand::Symbol {
            property: path,
            value,
        })
    }

    fn call(&mut self) -> Result<Operand, QueryError> {
        let position = self.position();
        let function = match self.peek() {
            Token::Word(word) => Function::from_name(word),
            _ => None,
        };
        let function = match function {
            Some(function) => function,
            None if ["COUNT", "MIN", "MAX", "SUM", "MEAN", "MEDIAN"]
                .iter()
                .any(|name| self.at_keyword(0, name)) =>
            {
                return Err(self.unsupported(Feature::Aggregation));
            }
            None => return Err(self.unsupported(Feature::Function)),
        };
        self.advance();
        self.advance();
        let mut arguments = Vec::new();
        if !self.symbol(Symbol::Close) {
            arguments.push(self.operand()?);
            while self.symbol(Symbol::Comma) {
                arguments.push(self.operand()?);
            }
            self.require(Symbol::Close, "\",\" or \")\"")?;
        }
        if !function.arguments().contains(&arguments.len()) {
            return Err(QueryError::new(
                QueryErrorKind::Types("the function takes another number of arguments"),
                position,
            ));
        }
        Ok(Operand::Call(function, arguments, position))
    }

    /// path = segment *("." segment); segment = [class "::"] name ["[" index "]"]
    pub(crate) fn path(&mut self) -> Result<PropertyPath, QueryError> {
        let position = self.position();
        let mut segments = Vec::new();
        loop {
            if segments.len() >= MAX_DEPTH {
                return Err(QueryError::new(
                    QueryErrorKind::Limit("the query is nested more than 64 levels deep"),
                    self.position(),
                ));
            }
            segments.push(self.segment()?);
            if !self.symbol(Symbol::Dot) {
                return Ok(PropertyPath { segments, position });
            }
        }
    }

    fn segment(&mut self) -> Result<Segment, QueryError> {
        let mut name = self.word("a property name")?;
        let mut scope = None;
        if self.symbol(Symbol::Scope) {
            scope = Some(ClassName::from(name));
            name = self.word("a property name")?;
        }
        let mut index = None;
        if self.symbol(Symbol::OpenBracket) {
            let Token::Integer(number) = *self.peek() else {
                return Err(self.expected("the number of an array element"));
            };
            // No array in memory is larger than usize, so a larger index is simply past its end.
            index = Some(usize::try_from(number).unwrap_or(usize::MAX));
            self.advance();
            self.require(Symbol::CloseBracket, "\"]\"")?;
        }
        Ok(Segment {
            scope,
            name: PropertyName::from(name),
            index,
        })
    }
}

const fn comparison_of(symbol: Symbol) -> Option<Comparison> {
    Some(match symbol {
        Symbol::Equal => Comparison::Equal,
        Symbol::NotEqual => Comparison::NotEqual,
        Symbol::Less => Comparison::Less,
        Symbol::LessEqual => Comparison::LessEqual,
        Symbol::Greater => Comparison::Greater,
        Symbol::GreaterEqual => Comparison::GreaterEqual,
        _ => return None,
    })
}

const fn arithmetic_of(symbol: Symbol) -> Option<Arithmetic> {
    Some(match symbol {
        Symbol::Plus => Arithmetic::Add,
        Symbol::Minus => Arithmetic::Subtract,
        Symbol::Star => Arithmetic::Multiply,
        Symbol::Slash => Arithmetic::Divide,
        Symbol::Concat => Arithmetic::Concatenate,
        _ => return None,
    })
}

fn negate_if(negated: bool, condition: Condition) -> Condition {
    if negated {
        Condition::Not(Box::new(condition))
    } else {
        condition
    }
}

fn one_or(mut parts: Vec<Condition>, many: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.len() {
        1 => parts.pop().unwrap_or(Condition::And(Vec::new())),
        _ => many(parts),
    }
}

fn depth_of(operand: &Operand) -> usize {
    let mut depth = 0;
    let mut current = operand;
    while let Operand::Arithmetic(left, _, _) = current {
        depth += 1;
        current = left;
    }
    depth
}

fn is_reserved(word: &str) -> bool {
    const RESERVED: [&str; 12] = [
        "SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IS", "NULL", "LIKE", "ISA", "TRUE", "FALSE",
    ];
    RESERVED
        .iter()
        .any(|reserved| word.eq_ignore_ascii_case(reserved))
}
