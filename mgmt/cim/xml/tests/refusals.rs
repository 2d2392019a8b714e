//! Messages that must be refused, with the fault and the place. The cases follow the header and XML tests of
//! OpenPegasus, whose answers clients know.
#![allow(clippy::expect_used, reason = "a test may stop where it is surprised")]

use cim_xml::{
    CimErrorHeader, Fault, Limit, Syntax, Validity, XmlError, parse_request, parse_response,
};

const GOOD: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<CIM CIMVERSION="2.0" DTDVERSION="2.0">
<MESSAGE ID="1" PROTOCOLVERSION="1.0"><SIMPLEREQ>
<IMETHODCALL NAME="CreateInstance">
<LOCALNAMESPACEPATH><NAMESPACE NAME="root"/><NAMESPACE NAME="cimv2"/></LOCALNAMESPACEPATH>
<IPARAMVALUE NAME="NewInstance"><INSTANCE CLASSNAME="C">
<PROPERTY NAME="P" TYPE="boolean"><VALUE>TRUE</VALUE></PROPERTY>
</INSTANCE></IPARAMVALUE>
</IMETHODCALL>
</SIMPLEREQ></MESSAGE></CIM>
"#;

const VALUE: &str = r#"<PROPERTY NAME="P" TYPE="boolean"><VALUE>TRUE</VALUE></PROPERTY>"#;

/// The error of the good message with one change, and where it is relative to the change.
fn refused(from: &str, to: &str) -> (XmlError, isize) {
    let at = GOOD.find(from).expect("the text to change");
    let message = GOOD.replacen(from, to, 1);
    let error = parse_request(message.as_bytes()).expect_err(to);
    (error, error.offset as isize - at as isize)
}

fn fault(from: &str, to: &str) -> Fault {
    refused(from, to).0.fault
}

#[test]
fn the_good_message_is_good() {
    assert!(parse_request(GOOD.as_bytes()).is_ok());
}

#[test]
fn the_envelope_is_checked() {
    use Validity::*;
    assert_eq!(
        fault("CIMVERSION=\"2.0\"", "CIMVERSION=\"1.0\""),
        Fault::UnsupportedCimVersion
    );
    assert_eq!(
        fault("CIMVERSION=\"2.0\"", "CIMVERSION=\"two\""),
        Fault::UnsupportedCimVersion
    );
    assert_eq!(
        fault("DTDVERSION=\"2.0\"", "DTDVERSION=\"3.0\""),
        Fault::UnsupportedDtdVersion
    );
    assert_eq!(
        fault("PROTOCOLVERSION=\"1.0\"", "PROTOCOLVERSION=\"2.0\""),
        Fault::UnsupportedProtocolVersion
    );
    assert_eq!(
        fault("CIMVERSION=\"2.0\" ", ""),
        MissingAttribute("CIMVERSION").into()
    );
    assert_eq!(fault(" ID=\"1\"", ""), MissingAttribute("ID").into());
    assert_eq!(fault("<CIM ", "<MIC "), UnexpectedElement.into());
    assert_eq!(
        fault("<SIMPLEREQ>", "text<SIMPLEREQ>"),
        UnexpectedText.into()
    );
    assert_eq!(
        fault("<IMETHODCALL NAME=\"CreateInstance\">", "<IMETHODCALL>"),
        MissingAttribute("NAME").into()
    );
    assert_eq!(
        fault("NAME=\"CreateInstance\"", "NAME=\"\""),
        AttributeValue("NAME").into()
    );
    assert_eq!(
        fault("<NAMESPACE NAME=\"root\"/><NAMESPACE NAME=\"cimv2\"/>", ""),
        MissingElement.into()
    );
    assert_eq!(
        fault("<NAMESPACE NAME=\"root\"/>", "<HOST>h</HOST>"),
        UnexpectedElement.into()
    );
    assert_eq!(
        fault("<IPARAMVALUE NAME=\"NewInstance\">", "<IPARAMVALUE>"),
        MissingAttribute("NAME").into()
    );
    assert_eq!(
        fault(
            "</SIMPLEREQ></MESSAGE>",
            "</SIMPLEREQ><SIMPLEREQ/></MESSAGE>"
        ),
        UnexpectedElement.into()
    );
}

#[test]
fn missing_end_tags_of_the_envelope_are_not_valid_others_not_well_formed() {
    for name in ["CIM", "MESSAGE", "SIMPLEREQ", "IMETHODCALL", "IPARAMVALUE"] {
        let (error, _) = refused(&format!("</{name}>"), "");
        assert_eq!(error.fault, Validity::EnvelopeEndTag.into(), "{name}");
        assert_eq!(error.cim_error(), CimErrorHeader::RequestNotValid);
    }
    for name in ["INSTANCE", "PROPERTY", "VALUE"] {
        let (error, _) = refused(&format!("</{name}>"), "");
        assert_eq!(error.fault, Syntax::EndTag.into(), "{name}");
        assert_eq!(error.cim_error(), CimErrorHeader::RequestNotWellFormed);
    }
}

#[test]
fn instances_are_checked() {
    use Validity::*;
    assert_eq!(
        fault(" CLASSNAME=\"C\"", ""),
        MissingAttribute("CLASSNAME").into()
    );
    assert_eq!(
        fault("<PROPERTY NAME=\"P\"", "<PROPERTY"),
        MissingAttribute("NAME").into()
    );
    assert_eq!(
        fault(" TYPE=\"boolean\"", ""),
        MissingAttribute("TYPE").into()
    );
    assert_eq!(
        fault("TYPE=\"boolean\"", "TYPE=\"bool\""),
        AttributeValue("TYPE").into()
    );
    assert_eq!(
        fault("TYPE=\"boolean\"", "TYPE=\"reference\""),
        AttributeValue("TYPE").into()
    );
    assert_eq!(
        fault("TYPE=\"boolean\"", "TYPE=\"boolean\" PROPAGATED=\"maybe\""),
        AttributeValue("PROPAGATED").into()
    );
    assert_eq!(
        fault(
            "TYPE=\"boolean\"",
            "TYPE=\"boolean\" EmbeddedObject=\"instance\""
        ),
        AttributeValue("EmbeddedObject").into()
    );
    assert_eq!(
        fault(
            VALUE,
            &format!("{VALUE}{}", VALUE.replace("\"P\"", "\"p\""))
        ),
        Repeated.into()
    );
    assert_eq!(
        fault(
            "<VALUE>TRUE</VALUE>",
            "<VALUE>TRUE</VALUE><VALUE>TRUE</VALUE>"
        ),
        UnexpectedElement.into()
    );
    assert_eq!(
        fault("<VALUE>TRUE</VALUE>", "<VALUE.ARRAY/>"),
        UnexpectedElement.into()
    );
    assert_eq!(
        fault("<VALUE>TRUE</VALUE>", "<VALUE><VALUE>TRUE</VALUE></VALUE>"),
        UnexpectedElement.into()
    );
    assert_eq!(
        fault("<VALUE>TRUE</VALUE>", "<VALEU>TRUE</VALEU>"),
        UnexpectedElement.into()
    );
    assert_eq!(fault("<VALUE>TRUE</VALUE>", "TRUE"), UnexpectedText.into());
    let qualifier = "<QUALIFIER NAME=\"Q\" TYPE=\"string\"/>";
    assert_eq!(
        fault(VALUE, &format!("{qualifier}{qualifier}")),
        Repeated.into()
    );
    assert_eq!(
        fault(VALUE, &format!("{VALUE}{qualifier}")),
        UnexpectedElement.into()
    );
}

#[test]
fn literals_are_checked_against_their_type() {
    for (ty, text) in [
        ("boolean", "yes"),
        ("uint8", "256"),
        ("uint16", "-1"),
        ("sint8", "0x80"),
        ("uint32", "1.0"),
        ("uint64", ""),
        ("real32", "1,5"),
        ("real64", "Infinity"),
        ("char16", "ab"),
        ("char16", ""),
        ("datetime", "2024-01-01"),
        ("datetime", "20240132000000.000000+000"),
    ] {
        let property =
            format!("<PROPERTY NAME=\"P\" TYPE=\"{ty}\"><VALUE>{text}</VALUE></PROPERTY>");
        let (error, offset) = refused(VALUE, &property);
        assert_eq!(error.fault, Validity::Literal.into(), "{ty} {text}");
        assert_eq!(
            offset,
            property.find("<VALUE>").expect("a value") as isize,
            "{ty} {text}"
        );
        let array = format!(
            "<PROPERTY.ARRAY NAME=\"P\" TYPE=\"{ty}\"><VALUE.ARRAY><VALUE>{text}</VALUE></VALUE.ARRAY></PROPERTY.ARRAY>"
        );
        assert_eq!(
            fault(VALUE, &array),
            Validity::Literal.into(),
            "{ty} {text}"
        );
    }
}

#[test]
fn keys_are_checked() {
    use Validity::*;
    let with_keys = |keys: &str| {
        let property = format!(
            "<PROPERTY.REFERENCE NAME=\"P\"><VALUE.REFERENCE><INSTANCENAME CLASSNAME=\"C\">{keys}\
             </INSTANCENAME></VALUE.REFERENCE></PROPERTY.REFERENCE>"
        );
        fault(VALUE, &property)
    };
    let binding = |key: &str| format!("<KEYBINDING NAME=\"k\">{key}</KEYBINDING>");
    assert_eq!(with_keys(&binding("")), MissingElement.into());
    assert_eq!(
        with_keys(&binding("<VALUE>1</VALUE>")),
        UnexpectedElement.into()
    );
    assert_eq!(
        with_keys(&binding("<KEYVALUE VALUETYPE=\"number\">1</KEYVALUE>")),
        AttributeValue("VALUETYPE").into()
    );
    assert_eq!(
        with_keys(&binding("<KEYVALUE TYPE=\"int\">1</KEYVALUE>")),
        AttributeValue("TYPE").into()
    );
    assert_eq!(
        with_keys(&binding("<KEYVALUE VALUETYPE=\"numeric\">x</KEYVALUE>")),
        Literal.into()
    );
    assert_eq!(
        with_keys(&binding("<KEYVALUE TYPE=\"uint8\">300</KEYVALUE>")),
        Literal.into()
    );
    let one = binding("<KEYVALUE>1</KEYVALUE>");
    assert_eq!(
        with_keys(&format!("{one}{}", one.replace("\"k\"", "\"K\""))),
        Repeated.into()
    );
    assert_eq!(
        with_keys("<KEYVALUE>1</KEYVALUE><KEYVALUE>2</KEYVALUE>"),
        UnexpectedElement.into()
    );
    assert_eq!(
        with_keys(&"<KEYVALUE>1</KEYVALUE>".replace("KEYVALUE", "KEY")),
        UnexpectedElement.into()
    );
}

#[test]
fn embedded_objects_are_checked_at_their_value() {
    let embed = |text: &str| {
        format!(
            "<PROPERTY NAME=\"P\" TYPE=\"string\" EmbeddedObject=\"instance\"><VALUE>{text}</VALUE></PROPERTY>"
        )
    };
    for text in [
        "instance of CIM_Foo { Name = \"x\"; };",
        "&lt;INSTANCE CLASSNAME=&quot;C&quot;&gt;",
        "&lt;VALUE/&gt;",
        "&lt;INSTANCE CLASSNAME='C'/&gt;x",
        "x<INSTANCE CLASSNAME='C'/>",
        "<VALUE/>",
    ] {
        let fault = fault(VALUE, &embed(text));
        assert_eq!(fault, Validity::EmbeddedObject.into(), "{text}");
    }
    let inner = "&lt;INSTANCE&gt;&lt;/INSTANCE&gt;";
    let (error, offset) = refused(VALUE, &embed(inner));
    assert_eq!(error.fault, Validity::MissingAttribute("CLASSNAME").into());
    assert_eq!(
        offset,
        embed(inner).find("<VALUE>").expect("a value") as isize
    );
}

#[test]
fn nesting_and_members_are_limited() {
    let mut reference = String::from("<CLASSNAME NAME=\"C\"/>");
    for _ in 0..20 {
        reference = format!(
            "<INSTANCENAME CLASSNAME=\"C\"><KEYBINDING NAME=\"k\"><VALUE.REFERENCE>{reference}\
             </VALUE.REFERENCE></KEYBINDING></INSTANCENAME>"
        );
    }
    let property = format!(
        "<PROPERTY.REFERENCE NAME=\"P\"><VALUE.REFERENCE>{reference}</VALUE.REFERENCE></PROPERTY.REFERENCE>"
    );
    assert_eq!(fault(VALUE, &property), Limit::Embedding.into());

    let mut embedded = String::from("<INSTANCE CLASSNAME='C'/>");
    for _ in 0..20 {
        // The unescaped form, which we read leniently, does not grow with each level.
        embedded = format!(
            "<INSTANCE CLASSNAME='C'><PROPERTY NAME='P' TYPE='string' EmbeddedObject='object'>\
             <VALUE>{embedded}</VALUE></PROPERTY></INSTANCE>"
        );
    }
    let property = format!(
        "<PROPERTY NAME=\"P\" TYPE=\"string\" EmbeddedObject=\"object\"><VALUE>{embedded}</VALUE></PROPERTY>"
    );
    assert_eq!(fault(VALUE, &property), Limit::Embedding.into());

    let many: String = (0..3_000)
        .map(|n| VALUE.replace("\"P\"", &format!("\"P{n}\"")))
        .collect();
    let (error, _) = refused(VALUE, &many);
    assert_eq!(error.fault, Limit::Members.into());
    assert_eq!(error.cim_error(), CimErrorHeader::RequestNotValid);
}

#[test]
fn batches_and_declarations_are_recognised() {
    let inside = |content: &str| {
        let message = format!(
            "<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"1\" PROTOCOLVERSION=\"1.0\">{content}</MESSAGE></CIM>"
        );
        (
            parse_request(message.as_bytes()).expect_err(content).fault,
            parse_response(message.as_bytes()).expect_err(content).fault,
        )
    };
    let unexpected = Validity::UnexpectedElement.into();
    assert_eq!(inside("<MULTIREQ/>"), (Fault::MultipleRequests, unexpected));
    assert_eq!(
        inside("<MULTIEXPREQ/>"),
        (Fault::MultipleRequests, unexpected)
    );
    assert_eq!(inside("<MULTIRSP/>"), (unexpected, Fault::MultipleRequests));
    assert_eq!(inside("<SIMPLERSP/>").0, unexpected);
    assert_eq!(inside("<SIMPLEREQ/>").0, Validity::MissingElement.into());
    assert_eq!(
        parse_request(b"<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><DECLARATION/></CIM>")
            .expect_err("a declaration")
            .fault,
        unexpected
    );
}

#[test]
fn entity_bombs_are_refused_at_the_door() {
    let bomb = GOOD.replacen(
        "<CIM ",
        "<!DOCTYPE CIM [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><CIM ",
        1,
    );
    let error = parse_request(bomb.as_bytes()).expect_err("a bomb");
    assert_eq!(error.fault, Validity::Doctype.into());
    assert_eq!(error.line_and_column(bomb.as_bytes()), (2, 1));
    let error = parse_request(GOOD.replace("TRUE", "&b;").as_bytes()).expect_err("an entity");
    assert_eq!(error.cim_error(), CimErrorHeader::RequestNotWellFormed);
}

#[test]
fn errors_read_as_sentences() {
    let (error, _) = refused("<VALUE>TRUE</VALUE>", "<VALUE>maybe</VALUE>");
    let text = error.to_string();
    assert!(
        text.starts_with(
            "CIM-XML is not valid: a value does not have the syntax or range of its type at byte "
        ),
        "{text}"
    );
}
