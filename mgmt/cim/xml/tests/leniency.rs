//! Forms seen in the wild that are not what the newest DTD says, and the rarer forms that are.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop where it is surprised"
)]

use cim_model::{CimType, InstancePath, KeyValue, ObjectPath, Scalar, Value};
use cim_xml::{Call, Item, Outcome, parse_embedded, parse_request, parse_response};

/// The value of the parameter X of a method call.
fn parameter(param_value: &str) -> Value {
    let message = format!(
        "<CIM CIMVERSION=\"2.3.1\" DTDVERSION=\"2.0\"><MESSAGE ID=\"1\" PROTOCOLVERSION=\"1.0\"><SIMPLEREQ>\
         <CORRELATOR NAME=\"c\" TYPE=\"string\"><VALUE>x</VALUE></CORRELATOR>\
         <METHODCALL NAME=\"M\"><LOCALCLASSPATH><LOCALNAMESPACEPATH><NAMESPACE NAME=\"root/cimv2\"/>\
         </LOCALNAMESPACEPATH><CLASSNAME NAME=\"C\"/></LOCALCLASSPATH>{param_value}</METHODCALL></SIMPLEREQ>\
         </MESSAGE></CIM>"
    );
    match parse_request(message.as_bytes()) {
        Ok(request) => match request.call {
            Call::Extrinsic { mut params, .. } => params.remove(0).1,
            _ => panic!("a method call"),
        },
        Err(error) => panic!("{error}: {param_value}"),
    }
}

fn value(attributes: &str, content: &str) -> Value {
    parameter(&format!(
        "<PARAMVALUE NAME=\"X\" {attributes}>{content}</PARAMVALUE>"
    ))
}

const INNER: &str = "&lt;INSTANCE CLASSNAME=&quot;D&quot;&gt;&lt;PROPERTY NAME=&quot;p&quot; \
                     TYPE=&quot;string&quot;&gt;&lt;VALUE&gt;a&amp;lt;b&lt;/VALUE&gt;&lt;/PROPERTY&gt;&lt;/INSTANCE&gt;";

#[test]
fn embedded_objects_come_in_many_spellings() {
    let cdata = "<![CDATA[<INSTANCE CLASSNAME=\"D\"><PROPERTY NAME=\"p\" TYPE=\"string\"><VALUE>a&lt;b</VALUE></PROPERTY></INSTANCE>]]>";
    let plain = "<INSTANCE CLASSNAME=\"D\"><PROPERTY NAME=\"p\" TYPE=\"string\"><VALUE>a&lt;b</VALUE></PROPERTY></INSTANCE>";
    let declared = format!("&lt;?xml version=&quot;1.0&quot;?&gt;\n{INNER}\n");
    for (attributes, content) in [
        (
            "PARAMTYPE=\"string\" EmbeddedObject=\"instance\"",
            format!("<VALUE>{INNER}</VALUE>"),
        ),
        (
            "PARAMTYPE=\"string\" EMBEDDEDOBJECT=\"object\"",
            format!("<VALUE>{INNER}</VALUE>"),
        ),
        ("PARAMTYPE=\"instance\"", format!("<VALUE>{INNER}</VALUE>")),
        ("PARAMTYPE=\"object\"", format!("<VALUE>{declared}</VALUE>")),
        (
            "PARAMTYPE=\"string\" EmbeddedObject=\"instance\"",
            format!("<VALUE>{cdata}</VALUE>"),
        ),
        (
            "PARAMTYPE=\"string\" EmbeddedObject=\"instance\"",
            format!("<VALUE> {cdata}<!-- --> </VALUE>"),
        ),
        (
            "PARAMTYPE=\"string\" EmbeddedObject=\"instance\"",
            format!("<VALUE>\n{plain}\n</VALUE>"),
        ),
        ("", plain.to_string()),
    ] {
        let value = value(attributes, &content);
        let instance = value
            .as_instance()
            .unwrap_or_else(|| panic!("{attributes} {content}"));
        assert_eq!(instance.class, "D");
        assert_eq!(instance.get("p").and_then(Value::as_str), Some("a<b"));
    }
    // Without any mark it is a string until the schema says otherwise.
    let unmarked = value("PARAMTYPE=\"string\"", &format!("<VALUE>{INNER}</VALUE>"));
    let text = unmarked.as_str().expect("a string");
    assert!(matches!(parse_embedded(text), Ok(Scalar::Instance(_))));
}

#[test]
fn an_empty_embedded_object_is_null() {
    let embedded = "PARAMTYPE=\"string\" EmbeddedObject=\"instance\"";
    assert_eq!(
        value(embedded, "<VALUE></VALUE>"),
        Value::null(CimType::String)
    );
    assert_eq!(
        value(embedded, "<VALUE> \n</VALUE>"),
        Value::null(CimType::String)
    );
    let array = value(embedded, "<VALUE.ARRAY><VALUE/><VALUE.NULL/></VALUE.ARRAY>");
    assert_eq!(array.as_array(), Some([None, None].as_slice()));
}

#[test]
fn untyped_parameters_are_guessed() {
    assert_eq!(
        parameter("<PARAMVALUE NAME=\"X\"/>"),
        Value::null(CimType::String)
    );
    assert_eq!(value("", "<VALUE>5</VALUE>"), Value::from("5"));
    assert_eq!(
        value("TYPE=\"uint8\"", "<VALUE>5</VALUE>"),
        Value::from(5u8)
    );
    let path = InstancePath::new("C").with_key("k", "v");
    let name = "<INSTANCENAME CLASSNAME=\"C\"><KEYBINDING NAME=\"k\"><KEYVALUE>v</KEYVALUE></KEYBINDING></INSTANCENAME>";
    assert_eq!(
        value("", &format!("<VALUE.REFERENCE>{name}</VALUE.REFERENCE>")),
        Value::from(path.clone())
    );
    assert_eq!(value("", name), Value::from(path));
}

#[test]
fn all_six_path_forms_are_references() {
    let namespace =
        "<LOCALNAMESPACEPATH><NAMESPACE NAME=\"a\"/><NAMESPACE NAME=\"b\"/></LOCALNAMESPACEPATH>";
    let full = format!("<NAMESPACEPATH><HOST>h</HOST>{namespace}</NAMESPACEPATH>");
    let instance = "<INSTANCENAME CLASSNAME=\"C\"/>";
    let class = "<CLASSNAME NAME=\"C\"/>";
    for (xml, uri) in [
        (instance.to_string(), "C.@"),
        (
            format!("<LOCALINSTANCEPATH>{namespace}{instance}</LOCALINSTANCEPATH>"),
            "a/b:C.@",
        ),
        (
            format!("<INSTANCEPATH>{full}{instance}</INSTANCEPATH>"),
            "//h/a/b:C.@",
        ),
        (class.to_string(), "C"),
        (
            format!("<LOCALCLASSPATH>{namespace}{class}</LOCALCLASSPATH>"),
            "a/b:C",
        ),
        (format!("<CLASSPATH>{full}{class}</CLASSPATH>"), "//h/a/b:C"),
    ] {
        let value = value(
            "PARAMTYPE=\"reference\"",
            &format!("<VALUE.REFERENCE>{xml}</VALUE.REFERENCE>"),
        );
        assert_eq!(
            value.as_reference().map(ObjectPath::to_string).as_deref(),
            Some(uri)
        );
    }
}

#[test]
fn numbers_may_be_hexadecimal_and_reals_special() {
    assert_eq!(
        value("PARAMTYPE=\"uint16\"", "<VALUE>0xFFff</VALUE>"),
        Value::from(0xffffu16)
    );
    assert_eq!(
        value("PARAMTYPE=\"sint8\"", "<VALUE>-0x80</VALUE>"),
        Value::from(-128i8)
    );
    assert_eq!(
        value("PARAMTYPE=\"real32\"", "<VALUE>INF</VALUE>"),
        Value::from(f32::INFINITY)
    );
    assert!(
        value("PARAMTYPE=\"real64\"", "<VALUE>nan</VALUE>")
            .as_f64()
            .is_some_and(f64::is_nan)
    );
    assert_eq!(
        value("PARAMTYPE=\"boolean\"", "<VALUE>true</VALUE>"),
        Value::from(true)
    );
    assert_eq!(
        value("PARAMTYPE=\"char16\"", "<VALUE>&#228;</VALUE>"),
        Value::Scalar(Scalar::Char16(228))
    );
}

#[test]
fn null_arrays_empty_arrays_and_null_elements_differ() {
    let ty = "PARAMTYPE=\"uint8\"";
    assert_eq!(
        value(ty, "<VALUE.ARRAY/>"),
        Value::empty_array(CimType::Uint8)
    );
    let array = value(
        ty,
        "<VALUE.ARRAY><VALUE>1</VALUE><VALUE.NULL/></VALUE.ARRAY>",
    );
    assert_eq!(
        array.as_array(),
        Some([Some(Scalar::Uint8(1)), None].as_slice())
    );
    assert!(value(ty, "").is_null());
}

#[test]
fn strings_keep_their_white_space() {
    assert_eq!(
        value("PARAMTYPE=\"string\"", "<VALUE> a\r\n b\t</VALUE>"),
        Value::from(" a\n b\t")
    );
    assert_eq!(
        value(
            "PARAMTYPE=\"string\"",
            "<VALUE>a<!-- c -->b<![CDATA[&]]>c</VALUE>"
        ),
        Value::from("ab&c")
    );
    assert_eq!(value("PARAMTYPE=\"string\"", "<VALUE/>"), Value::from(""));
}

#[test]
fn a_namespace_in_one_piece_is_the_same_namespace() {
    let message = "<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"1\" PROTOCOLVERSION=\"1.0\">\
                   <SIMPLEREQ><IMETHODCALL NAME=\"X\"><LOCALNAMESPACEPATH><NAMESPACE NAME=\"/root/cimv2/\"/>\
                   </LOCALNAMESPACEPATH></IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>";
    let request = parse_request(message.as_bytes()).expect("a request");
    assert!(matches!(request.call, Call::Intrinsic { namespace, .. } if namespace == "root/cimv2"));
}

#[test]
fn a_foreign_servers_answer_is_read() {
    // As OpenPegasus 2.14 shapes it: indented, classes with path, unknown status codes.
    let message = "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\">\n\
        <MESSAGE ID=\"1001\" PROTOCOLVERSION=\"1.0\">\n<SIMPLERSP>\n<IMETHODRESPONSE NAME=\"AssociatorNames\">\n\
        <IRETURNVALUE>\n<OBJECTPATH>\n<INSTANCEPATH>\n<NAMESPACEPATH>\n<HOST>h:5989</HOST>\n<LOCALNAMESPACEPATH>\n\
        <NAMESPACE NAME=\"root\"/>\n</LOCALNAMESPACEPATH>\n</NAMESPACEPATH>\n<INSTANCENAME CLASSNAME=\"C\">\n\
        <KEYBINDING NAME=\"k\">\n<KEYVALUE VALUETYPE=\"numeric\">7</KEYVALUE>\n</KEYBINDING>\n</INSTANCENAME>\n\
        </INSTANCEPATH>\n</OBJECTPATH>\n</IRETURNVALUE>\n</IMETHODRESPONSE>\n</SIMPLERSP>\n</MESSAGE>\n</CIM>\n";
    let response = parse_response(message.as_bytes()).expect("a response");
    let Ok(Outcome::Intrinsic { items, .. }) = response.outcome else {
        panic!("objects")
    };
    let Item::ObjectPath(ObjectPath::Instance(path)) = &items[0] else {
        panic!("an instance path")
    };
    assert_eq!(
        path.key("k"),
        Some(&KeyValue::Integer { value: 7, ty: None })
    );
}
