use super::*;
use crate::{ParamValue, parse_request};
use cim_model::{ClassPath, MethodName};

fn headers() -> CimHeaders<'static> {
    CimHeaders {
        content_type: Some("application/xml; charset=\"utf-8\"".into()),
        operation: Some("MethodCall".into()),
        method: Some("GetClass".into()),
        object: Some("root/cimv2".into()),
        ..CimHeaders::default()
    }
}

fn intrinsic() -> Request {
    let method = MethodName::from("GetClass");
    let params = vec![("ClassName".into(), ParamValue::ClassName("C".into()))];
    Request::new(
        "1",
        Call::Intrinsic {
            method,
            namespace: "root/cimv2".into(),
            params,
        },
    )
}

fn extrinsic(target: impl Into<ObjectPath>) -> Request {
    Request::new(
        "1",
        Call::Extrinsic {
            method: "Go".into(),
            target: target.into(),
            params: vec![],
        },
    )
}

fn refused(result: Result<impl fmt::Debug, Refusal>) -> (u16, &'static str) {
    let refusal = result.unwrap_err();
    (
        refusal.status,
        refusal.cim_error.map_or("", CimErrorHeader::name),
    )
}

#[test]
fn a_good_request_passes() {
    assert_eq!(headers().check_head(), Ok(MessageKind::Operation));
    assert_eq!(headers().check_body(&intrinsic()), Ok(()));
    let escaped = CimHeaders {
        object: Some("root%2FCIMv2".into()),
        ..headers()
    };
    assert_eq!(escaped.check_body(&intrinsic()), Ok(()));
    let slashed = CimHeaders {
        object: Some("/root/cimv2/".into()),
        ..headers()
    };
    assert_eq!(slashed.check_body(&intrinsic()), Ok(()));
}

#[test]
fn heads_are_refused_as_pegasus_does() {
    let head = |change: fn(&mut CimHeaders<'static>)| {
        let mut headers = headers();
        change(&mut headers);
        refused(headers.check_head())
    };
    assert_eq!(head(|h| h.content_type = None), (400, ""));
    assert_eq!(
        head(|h| h.content_type = Some("text/html".into())),
        (400, "")
    );
    assert_eq!(
        head(|h| h.content_type = Some("text/xml; charset=utf-16".into())),
        (400, "")
    );
    assert_eq!(head(|h| h.operation = None), (400, ""));
    assert_eq!(
        head(|h| h.operation = Some("".into())),
        (400, "unsupported-operation")
    );
    assert_eq!(
        head(|h| h.operation = Some("MethodCall, MethodCall".into())),
        (400, "unsupported-operation")
    );
    assert_eq!(
        head(|h| h.protocol_version = Some("2.0".into())),
        (501, "unsupported-protocol-version")
    );
}

#[test]
fn mismatches_with_the_body_are_found() {
    let body = |change: fn(&mut CimHeaders<'static>)| {
        let mut headers = headers();
        change(&mut headers);
        refused(headers.check_body(&intrinsic()))
    };
    let mismatch = (400, "header-mismatch");
    assert_eq!(body(|h| h.method = None), mismatch);
    assert_eq!(body(|h| h.method = Some("".into())), mismatch);
    assert_eq!(body(|h| h.method = Some("%zz".into())), mismatch);
    assert_eq!(body(|h| h.method = Some("GetInstance".into())), mismatch);
    assert_eq!(body(|h| h.object = None), mismatch);
    assert_eq!(body(|h| h.object = Some("root%2".into())), mismatch);
    assert_eq!(body(|h| h.object = Some("root/other".into())), mismatch);
    assert_eq!(body(|h| h.protocol_version = Some("1.1".into())), mismatch);
    assert_eq!(
        body(|h| h.batch = Some("".into())),
        (501, "multiple-requests-unsupported")
    );
    let mut newer = intrinsic();
    newer.protocol_version = Version { major: 1, minor: 4 };
    assert_eq!(refused(headers().check_body(&newer)), mismatch);
    let told = CimHeaders {
        protocol_version: Some("1.4".into()),
        ..headers()
    };
    assert_eq!(told.check_body(&newer), Ok(()));
}

#[test]
fn method_targets_compare_by_meaning() {
    let go = |object: &str, request: &Request| {
        let object = Cow::Owned(object.to_string());
        let headers = CimHeaders {
            method: Some("Go".into()),
            object: Some(object),
            ..headers()
        };
        headers.check_body(request).is_ok()
    };
    let path = InstancePath::new("C")
        .with_namespace("n")
        .with_key("A", 5u16)
        .with_key("B", "50%x\"y");
    let request = extrinsic(path.clone());
    for good in [
        r#"n:C.A=5,B="50%x\"y""#,
        r#"N:c.b="50%x\"y",a=5"#,
        r#"/n:C.A="5",B="50%x\"y""#,
        "n%3AC.A%3D5%2CB%3D%2250%25x%5C%22y%22",
    ] {
        assert!(go(good, &request), "{good}");
    }
    for bad in [
        r#"n:C.A=6,B="50%x\"y""#,
        "n:C.A=5",
        "n:C",
        r#"m:C.A=5,B="50%x\"y""#,
        "n",
        "%",
    ] {
        assert!(!go(bad, &request), "{bad}");
    }
    let outer = InstancePath::new("R")
        .with_namespace("n")
        .with_key("Ref", path.clone());
    assert!(go(&outer.to_string(), &extrinsic(outer.clone())));
    assert!(go(
        &outer.to_string(),
        &extrinsic(outer.clone().with_key("Ref", path.to_local()))
    ));
    assert!(!go(
        &outer.to_string(),
        &extrinsic(outer.with_key("Ref", InstancePath::new("X")))
    ));
    assert!(go(
        "n:C",
        &extrinsic(ClassPath::new("C").with_namespace("n"))
    ));
    assert!(go(
        "n:C",
        &extrinsic(InstancePath::new("C").with_namespace("n"))
    ));
    assert!(!go(
        "n:C.k=1",
        &extrinsic(ClassPath::new("C").with_namespace("n"))
    ));
}

#[test]
fn a_batch_is_a_mismatch_without_its_header_and_unsupported_with_it() {
    let body = br#"<CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1" PROTOCOLVERSION="1.0"><MULTIREQ/></MESSAGE></CIM>"#;
    let error = parse_request(body).unwrap_err();
    assert_eq!(
        headers().refuse_body(&error).cim_error,
        Some(CimErrorHeader::HeaderMismatch)
    );
    let batch = CimHeaders {
        batch: Some("".into()),
        ..headers()
    };
    let refusal = batch.refuse_body(&error);
    assert_eq!(
        refusal.cim_error,
        Some(CimErrorHeader::MultipleRequestsUnsupported)
    );
    assert_eq!(refusal.status, 501);
}

#[test]
fn an_export_needs_its_own_headers() {
    let request = Request::new(
        "1",
        Call::Export {
            method: "ExportIndication".into(),
            params: vec![],
        },
    );
    let export = CimHeaders {
        content_type: Some("text/xml".into()),
        export: Some("MethodRequest".into()),
        export_method: Some("ExportIndication".into()),
        ..CimHeaders::default()
    };
    assert_eq!(export.check_head(), Ok(MessageKind::Export));
    assert_eq!(export.check_body(&request), Ok(()));
    assert_eq!(
        refused(headers().check_body(&request)),
        (400, "header-mismatch")
    );
    assert_eq!(
        refused(export.check_body(&intrinsic())),
        (400, "header-mismatch")
    );
}
