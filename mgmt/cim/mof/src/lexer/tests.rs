//! Tests of single tokens and of their positions.

use super::*;
use crate::source::SourceMap;

fn tokens(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut lexer = Lexer::new(FileId::default(), text);
    let mut found = Vec::new();
    loop {
        match lexer.next_token()?.0 {
            Token::End => return Ok(found),
            token => found.push(token),
        }
    }
}

fn one(text: &str) -> Token<'_> {
    let mut found = tokens(text).unwrap();
    assert_eq!(found.len(), 1, "{text}: {found:?}");
    found.remove(0)
}

fn fault(text: &str) -> Fault {
    tokens(text).unwrap_err()
}

#[test]
fn integers_have_four_notations() {
    assert_eq!(one("0"), Token::Integer(0));
    assert_eq!(one("+42"), Token::Integer(42));
    assert_eq!(one("-42"), Token::Integer(-42));
    assert_eq!(one("017"), Token::Integer(15));
    assert_eq!(one("0x1F"), Token::Integer(31));
    assert_eq!(one("-0X80"), Token::Integer(-128));
    assert_eq!(one("101b"), Token::Integer(5));
    assert_eq!(one("0101B"), Token::Integer(5));
    assert_eq!(one("18446744073709551615"), Token::Integer(u64::MAX.into()));
    assert_eq!(one("0x1b"), Token::Integer(0x1b), "the b is a digit");
}

#[test]
fn reals_need_a_digit_behind_the_point() {
    assert_eq!(one("1.5"), Token::Real(1.5));
    assert_eq!(one(".5"), Token::Real(0.5));
    assert_eq!(one("-1.5e3"), Token::Real(-1500.0));
    assert_eq!(one("1.5E-3"), Token::Real(0.0015));
    for text in [
        "1.", "1.e3", "1.5e", "1.5e+", "1.5e1x", "1.2.3", "1x.5", "1.0e999",
    ] {
        assert_eq!(fault(text).rule, Rule::Lexical, "{text}");
    }
}

#[test]
fn a_sign_begins_a_number_or_an_exponent() {
    let pair = [Token::Integer(1), Token::Integer(2)];
    assert_eq!(tokens("1+2").unwrap(), pair);
    assert_eq!(
        tokens("0x1E-2").unwrap(),
        [Token::Integer(0x1e), Token::Integer(-2)]
    );
    assert_eq!(
        tokens("1.5+2").unwrap(),
        [Token::Real(1.5), Token::Integer(2)]
    );
    assert_eq!(one("1.5e+2"), Token::Real(150.0));
}

#[test]
fn long_strings_are_shortened_in_errors() {
    let described = |text: &str| Token::Text(text.into()).describe();
    assert_eq!(described("short"), "the string \"short\"");
    assert_eq!(
        described(&"x".repeat(40)),
        format!("the string \"{}\"", "x".repeat(40))
    );
    assert_eq!(
        described(&"x".repeat(41)),
        format!("the string \"{}...\"", "x".repeat(40))
    );
}

#[test]
fn broken_numbers_are_refused() {
    for text in ["09", "0x", "12b", "1x", "+", "--1", "-", "12e3", "0xg"] {
        assert_eq!(fault(text).rule, Rule::Lexical, "{text}");
    }
    let huge = "9".repeat(200);
    assert_eq!(fault(&huge).rule, Rule::Lexical);
}

#[test]
fn strings_decode_their_escapes() {
    assert_eq!(
        one(r#""a\b\t\n\f\r\"\'\\z""#),
        Token::Text("a\u{8}\t\n\u{c}\r\"'\\z".into())
    );
    assert_eq!(
        one(r#""\x41\xE4\x20ACx""#),
        Token::Text("A\u{e4}\u{20ac}x".into())
    );
    assert_eq!(one(r#""\x00412""#), Token::Text("A2".into()));
    assert_eq!(one(r#""\xD83D\xDE00""#), Token::Text("\u{1f600}".into()));
    assert_eq!(one("\"\u{1f600}\""), Token::Text("\u{1f600}".into()));
    assert_eq!(
        one("\"/* // no comment\""),
        Token::Text("/* // no comment".into())
    );
}

#[test]
fn broken_strings_are_refused_where_they_break() {
    assert_eq!(fault("\"abc").at.column, 1);
    assert_eq!(fault("\"abc\n\"").at.column, 1);
    assert_eq!(fault(r#""ab\q""#).at.column, 4);
    assert_eq!(fault(r#""\x""#).at.column, 2);
    assert_eq!(fault(r#""\xD83D""#).at.column, 2, "lone high surrogate");
    assert_eq!(fault(r#""\xDE00""#).at.column, 2, "lone low surrogate");
    assert_eq!(fault(r#""\xD83D\x41""#).at.column, 2);
    assert_eq!(fault("\"\\").rule, Rule::Lexical);
}

#[test]
fn characters_are_one_code_unit() {
    assert_eq!(one("'a'"), Token::Char(0x61));
    assert_eq!(one(r"'\''"), Token::Char(0x27));
    assert_eq!(one(r"'\xD83D'"), Token::Char(0xd83d));
    for text in ["''", "'ab'", "'a", "'\u{1f600}'", "'\n'"] {
        assert_eq!(fault(text).rule, Rule::Lexical, "{text}");
    }
}

#[test]
fn words_aliases_and_marks() {
    assert_eq!(
        tokens("class _X1 { $A ; }").unwrap(),
        [
            Token::Word("class"),
            Token::Word("_X1"),
            Token::Mark('{'),
            Token::Alias("A"),
            Token::Mark(';'),
            Token::Mark('}'),
        ]
    );
    assert_eq!(one("Gr\u{f6}\u{df}e"), Token::Word("Gr\u{f6}\u{df}e"));
    assert_eq!(fault("$ A").rule, Rule::Lexical);
    assert_eq!(fault("a ? b").found, "the character `?`");
}

#[test]
fn comments_and_byte_order_marks_are_blank() {
    assert_eq!(
        tokens("\u{feff}a // b\n/* c\n * d */ e/**/f").unwrap(),
        [Token::Word("a"), Token::Word("e"), Token::Word("f")]
    );
    assert_eq!(fault("a /* b").at.column, 3);
}

#[test]
fn positions_count_lines_and_characters() {
    let mut lexer = Lexer::new(FileId::default(), "a\n  \u{e4}b \"\u{e4}\" c\r\nd");
    let mut places = Vec::new();
    loop {
        let (token, at) = lexer.next_token().unwrap();
        places.push((at.line, at.column));
        if token == Token::End {
            break;
        }
    }
    assert_eq!(places, [(1, 1), (2, 3), (2, 6), (2, 10), (3, 1), (3, 2)]);
}

#[test]
fn overlong_strings_are_refused() {
    let text = format!("\"{}\"", "x".repeat(limits::STRING_BYTES + 1));
    assert_eq!(fault(&text).rule, Rule::Limit);
}

#[test]
fn errors_show_the_line_with_a_caret() {
    let mut sources = SourceMap::new();
    let file = sources.add("x.mof", "class A {\n\tuint8 ?;\n};").unwrap();
    let mut lexer = Lexer::new(file, sources.text(file));
    let fault = loop {
        if let Err(fault) = lexer.next_token() {
            break fault;
        }
    };
    assert_eq!(
        fault.locate(&sources).to_string(),
        "x.mof:2:8: found the character `?`, expected a name, a literal or punctuation of MOF\n    \
         2 |  uint8 ?;\n      |        ^"
    );
}

#[test]
fn the_caret_follows_into_long_lines() {
    let mut sources = SourceMap::new();
    let text = format!("{}?", " ".repeat(5000));
    let file = sources.add("x.mof", &text).unwrap();
    let fault = Lexer::new(file, &text).next_token().unwrap_err();
    let shown = fault.locate(&sources).to_string();
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[1].find('?'), lines[2].find('^'), "{shown}");
    assert!(lines[1].len() < 200);
}
