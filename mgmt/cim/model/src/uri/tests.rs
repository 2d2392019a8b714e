use super::*;

fn sample() -> InstancePath {
    InstancePath::new("CIM_Foo")
        .with_host("Host.example:5989")
        .with_namespace("root/CIMv2")
        .with_key("Text", "a\"b\\c,d=e")
        .with_key("Number", 5u16)
        .with_key("Flag", true)
        .with_key("Letter", KeyValue::Char16(0x27))
}

#[test]
fn forms_differ_as_documented() {
    let path = sample();
    let keys = r#"Flag=TRUE,Letter='\'',Number=5,Text="a\"b\\c,d=e""#;
    assert_eq!(
        path.to_uri(UriFormat::Standard),
        format!("//Host.example:5989/root/CIMv2:CIM_Foo.{keys}")
    );
    assert_eq!(
        path.to_uri(UriFormat::CimObject),
        format!("root/CIMv2:CIM_Foo.{keys}")
    );
    assert_eq!(
        path.to_uri(UriFormat::Canonical),
        r#"//host.example:5989/root/cimv2:cim_foo.flag=TRUE,letter='\'',number=5,text="a\"b\\c,d=e""#
    );
    let local = path.to_local();
    assert_eq!(
        local.to_uri(UriFormat::Historical),
        format!("CIM_Foo.{keys}")
    );
    assert_eq!(
        local.to_uri(UriFormat::Standard),
        format!("/:CIM_Foo.{keys}")
    );
    assert_eq!(
        ClassPath::new("C")
            .with_namespace("n")
            .to_uri(UriFormat::Standard),
        "/n:C"
    );
    assert_eq!(ClassPath::new("C").to_uri(UriFormat::Historical), "C");
}

#[test]
fn every_form_is_read_back() {
    let path = sample();
    for format in [
        UriFormat::Standard,
        UriFormat::Canonical,
        UriFormat::Historical,
    ] {
        assert_eq!(path.to_uri(format).parse(), Ok(path.clone()), "{format:?}");
    }
    let mut without_host = path.clone();
    without_host.host = None;
    assert_eq!(path.to_uri(UriFormat::CimObject).parse(), Ok(without_host));
    assert_eq!(format!("https:{path}").parse(), Ok(path));
    assert_eq!("CIM_Foo.@".parse(), Ok(InstancePath::new("CIM_Foo")));
    assert_eq!(
        "root/cimv2:CIM_Foo".parse(),
        Ok(ClassPath::new("CIM_Foo").with_namespace("root/cimv2"))
    );
    assert_eq!("CIM_Foo".parse(), Ok(ClassPath::new("CIM_Foo")));
}

#[test]
fn references_nest_by_escaping() {
    let inner = InstancePath::new("Inner")
        .with_namespace("n")
        .with_key("k", "q\"q");
    let outer = InstancePath::new("Outer").with_key("ref", inner.clone());
    let text = outer.to_string();
    assert_eq!(text, r#"Outer.ref="n:Inner.k=\"q\\\"q\"""#);
    let mut back: InstancePath = text.parse().unwrap();
    back.normalize(&[("ref".into(), crate::CimType::Reference)])
        .unwrap();
    assert_eq!(back, outer);
    assert_eq!(
        back.key("ref").and_then(KeyValue::as_instance_path),
        Some(&inner)
    );
}

#[test]
fn a_colon_or_dot_in_a_key_value_is_not_structure() {
    let path: InstancePath = r#"C.k="http://a.b/c:d""#.parse().unwrap();
    assert_eq!(
        path.key("k").and_then(KeyValue::as_str),
        Some("http://a.b/c:d")
    );
    assert_eq!(path.namespace, None);
    assert_eq!(path.class, "C");
}

#[test]
fn an_unnamed_key_stands_alone() {
    let path: InstancePath = r#"n:C."v""#.parse().unwrap();
    assert_eq!(path.key("").and_then(KeyValue::as_str), Some("v"));
    assert_eq!(path.to_string(), r#"n:C."v""#);
    assert!(r#"C."v","w""#.parse::<InstancePath>().is_err());
}

#[test]
fn wrong_texts_name_the_fault() {
    for (text, error) in [
        ("", UriError::Class),
        ("n:", UriError::Class),
        ("n:.k=1", UriError::Class),
        ("C.=1", UriError::KeyName),
        ("C.k=1,", UriError::KeyName),
        ("C.k=1,2", UriError::KeyName),
        ("C.k=abc", UriError::KeyValue),
        ("C.k=", UriError::KeyValue),
        ("C.k='ab'", UriError::KeyValue),
        ("C.k=\"a", UriError::Quote),
        ("C.k=\"a\"b", UriError::Quote),
        ("C.k=\"a\\\"", UriError::Quote),
        ("C.k=1,K=2", UriError::RepeatedKey),
    ] {
        assert_eq!(text.parse::<ObjectPath>(), Err(error), "{text}");
    }
    assert_eq!("n:C".parse::<InstancePath>(), Err(UriError::Kind));
    assert_eq!("n:C.k=1".parse::<ClassPath>(), Err(UriError::Kind));
}

#[test]
fn the_number_of_keys_is_limited() {
    let keys = |count: usize| {
        (0..count)
            .map(|n| format!("k{n}=1"))
            .collect::<Vec<_>>()
            .join(",")
    };
    assert!(format!("C.{}", keys(256)).parse::<InstancePath>().is_ok());
    let error = format!("C.{}", keys(257)).parse::<InstancePath>();
    assert_eq!(error, Err(UriError::TooManyKeys));
}
