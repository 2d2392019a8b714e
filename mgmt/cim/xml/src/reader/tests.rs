use super::*;

/// A compact rendering of all tokens, or the fault and its offset.
fn tokens(text: &str) -> Result<String, (Fault, usize)> {
    tokens_of(text.as_bytes())
}

fn tokens_of(bytes: &[u8]) -> Result<String, (Fault, usize)> {
    let fault = |error: XmlError| (error.fault, error.offset);
    let mut reader = Reader::new(bytes).map_err(fault)?;
    let mut out = String::new();
    loop {
        match reader.next_token().map_err(fault)? {
            Token::Start(name) => {
                out += &format!("<{name}");
                for (name, value) in &reader.attributes {
                    out += &format!(" {name}={value:?}");
                }
                out += ">";
            }
            Token::End(name) => out += &format!("</{name}>"),
            Token::Text(text) => out += &format!("[{text}]"),
            Token::Eof => return Ok(out),
        }
    }
}

#[test]
fn documents_are_taken_apart() {
    for (text, expected) in [
        ("<a/>", "<a></a>"),
        ("<a></a >", "<a></a>"),
        (
            "\u{feff}<?xml version=\"1.0\" encoding='UTF-8' standalone=\"yes\" ?>\r\n<a />\n",
            "<a></a>",
        ),
        (
            "<!-- x --><?pi data?><a>1<!-- - -->2</a><!----><?p?>",
            "<a>[1][2]</a>",
        ),
        (
            "<a b='\"' c = \"&lt;'&#10;\tx\"><b/></a>",
            "<a b=\"\\\"\" c=\"<'\\n x\"><b></b></a>",
        ),
        (
            "<a>x&amp;y<![CDATA[<&]] ]>]]>z</a>",
            "<a>[x&y][<&]] ]>][z]</a>",
        ),
        ("<a>\r\n<![CDATA[\r\n]]></a>", "<a>[\n][\n]</a>"),
        ("<ä:b.c-d_1/>", "<ä:b.c-d_1></ä:b.c-d_1>"),
        ("<?xml version=\"1.1\"?><a/>", "<a></a>"),
        ("<?xmlish?><a/>", "<a></a>"),
    ] {
        assert_eq!(tokens(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn broken_documents_are_refused_with_their_position() {
    use Syntax::*;
    for (text, syntax, offset) in [
        ("", NoRoot, 0),
        (" <!-- -->", NoRoot, 9),
        ("x<a/>", OutsideRoot, 0),
        ("<a/>x", OutsideRoot, 4),
        ("<a/><b/>", OutsideRoot, 4),
        ("<a/><![CDATA[]]>", OutsideRoot, 4),
        ("<a>", UnexpectedEnd, 3),
        ("<a", UnexpectedEnd, 2),
        ("<", UnexpectedEnd, 1),
        ("<a b", Attribute, 4),
        ("<a b=", Attribute, 5),
        ("<a b='", UnexpectedEnd, 6),
        ("<a b=c/>", Attribute, 5),
        ("<a b='<'/>", Attribute, 6),
        ("<a b='1'c='2'/>", Attribute, 8),
        ("<a b='1' b='2'/>", RepeatedAttribute, 9),
        ("<a / >", Markup, 3),
        ("<1/>", Name, 1),
        ("< a/>", Name, 1),
        ("<a></b>", EndTag, 3),
        ("<a></ab>", EndTag, 3),
        ("<a><b></a></b>", EndTag, 6),
        ("</a>", EndTag, 0),
        ("<a/></a>", EndTag, 4),
        ("<a></a x>", Markup, 7),
        ("<a>&</a>", Reference, 3),
        ("<a>12&foo;</a>", Reference, 5),
        ("<a b='1&#0;'/>", Reference, 7),
        ("<a>x]]></a>", CdataEnd, 4),
        ("<a><![CDATA[x</a>", UnexpectedEnd, 3),
        ("<a><!-- -- --></a>", Comment, 3),
        ("<a><!-- --->", Comment, 3),
        ("<a><!-- ", Comment, 3),
        ("<a><?x </a>", Instruction, 3),
        ("<a><?xml version='1.0'?></a>", Instruction, 3),
        (" <?xml version='1.0'?><a/>", Instruction, 1),
        ("<?XML version='1.0'?><a/>", Instruction, 0),
        ("<?xml version='1.0' foo='x'?><a/>", Instruction, 0),
        ("<?xml encoding='utf-8' version='1.0'?><a/>", Instruction, 0),
        ("<a><!ELEMENT a></a>", Markup, 3),
    ] {
        assert_eq!(tokens(text), Err((syntax.into(), offset)), "{text}");
    }
}

#[test]
fn what_the_dtd_and_dsp0200_forbid_is_not_valid() {
    use Validity::*;
    for (text, validity, offset) in [
        (
            b"<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>".as_slice(),
            Doctype,
            0,
        ),
        (b"<?xml version='2.0'?><a/>", Declaration, 0),
        (b"<?xml version=''?><a/>", Declaration, 0),
        (b"<?xml encoding='utf-8'?><a/>", Declaration, 0),
        (
            b"<?xml version='1.0' encoding='utf-16'?><a/>",
            Declaration,
            0,
        ),
        (b"<a>\xff</a>", Utf8, 3),
        (b"<a>\xc0\x80</a>", Utf8, 3),
        (b"<a>\x01</a>", Character, 3),
        (b"<a>\xef\xbf\xbf</a>", Character, 3),
        (b"<CIM><MESSAGE></CIM>", EnvelopeEndTag, 14),
        (b"<CIM>", EnvelopeEndTag, 5),
    ] {
        assert_eq!(tokens_of(text), Err((validity.into(), offset)));
    }
}

#[test]
fn nesting_and_attributes_are_limited() {
    let deep = |depth| "<a>".repeat(depth) + &"</a>".repeat(depth);
    assert!(tokens(&deep(MAX_DEPTH)).is_ok());
    assert_eq!(
        tokens(&deep(MAX_DEPTH + 1)).unwrap_err().0,
        Limit::Depth.into()
    );
    let many: String = (0..100).map(|n| format!(" a{n}=''")).collect();
    assert_eq!(
        tokens(&format!("<a{many}/>")).unwrap_err().0,
        Limit::Attributes.into()
    );
}

#[test]
fn text_without_references_is_borrowed() {
    let mut reader = Reader::new(b"<a b='c'>text</a>").unwrap();
    reader.next_token().unwrap();
    assert!(matches!(reader.attribute("b"), Some(Cow::Borrowed("c"))));
    assert!(matches!(
        reader.next_token(),
        Ok(Token::Text(Cow::Borrowed("text")))
    ));
}

#[test]
fn every_prefix_of_a_document_is_refused() {
    let text = "<?xml version=\"1.0\"?><a b='&lt;'><!-- c --><b>t&amp;<![CDATA[d]]></b><?p q?></a>";
    for end in 0..text.len() {
        assert!(tokens(&text[..end]).is_err(), "{}", &text[..end]);
    }
    assert!(tokens(text).is_ok());
}
