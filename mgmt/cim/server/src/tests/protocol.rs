//! Requests and answers.

use super::lab::{lab, request, request_as};
use std::time::Duration;

const CLASS: &str =
    "<IPARAMVALUE NAME=\"ClassName\"><CLASSNAME NAME=\"CIM_Processor\"/></IPARAMVALUE>";

#[test]
fn an_operation_is_answered() {
    let mut lab = lab(2, false);
    let answer = lab.send(&request("EnumerateInstanceNames", CLASS));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("CIMOperation: MethodResponse\r\n"));
    assert!(answer.contains("MESSAGE ID=\"42\""));
    assert_eq!(answer.matches("<INSTANCENAME ").count(), 2);
    assert!(!lab.connection.is_finished());
}

#[test]
fn pieces_of_any_size_give_the_same_answer() {
    let bytes = request("EnumerateInstances", CLASS);
    let whole = lab(3, false).send(&bytes);
    for size in [1, 2, 7, 100] {
        assert_eq!(lab(3, false).send_in_pieces(&bytes, size), whole);
    }
}

#[test]
fn pipelined_requests_wait_for_their_turn() {
    let mut lab = lab(500, false);
    let mut bytes = request("EnumerateInstances", CLASS);
    bytes.extend(request("EnumerateQualifiers", ""));
    bytes.extend(request("EnumerateInstanceNames", CLASS));
    let answer = lab.send(&bytes);
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3);
    assert_eq!(answer.matches("<VALUE.NAMEDINSTANCE>").count(), 500);
    let qualifiers = answer.find("QUALIFIER.DECLARATION").unwrap();
    assert!(answer.rfind("<VALUE.NAMEDINSTANCE>").unwrap() < qualifiers);
}

#[test]
fn failures_are_cim_errors_or_http_errors() {
    let mut lab = lab(1, false);
    for (method, params, code) in [
        ("Frobnicate", "", 7),
        ("EnumerateInstances", "", 4),
        ("EnumerateQualifiers", CLASS, 4),
        ("PullInstancePaths", "", 4),
        ("GetInstance", CLASS, 4),
    ] {
        let answer = lab.send(&request(method, params));
        assert!(answer.starts_with("HTTP/1.1 200"), "{method}: {answer}");
        assert!(
            answer.contains(&format!("<ERROR CODE=\"{code}\"")),
            "{method}: {answer}"
        );
        assert!(answer.contains(&format!("<IMETHODRESPONSE NAME=\"{method}\">")));
    }
    let mismatch = String::from_utf8(request("EnumerateQualifiers", "")).unwrap();
    let mismatch = mismatch.replace("CIMMethod: EnumerateQualifiers", "CIMMethod: GetClass");
    let answer = lab.send(mismatch.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("CIMError: header-mismatch\r\n"));
    let broken = String::from_utf8(request("EnumerateQualifiers", "")).unwrap();
    let answer = lab.send(broken.replace("<SIMPLEREQ>", "<SIMPLEREQQ>").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(
        answer.contains("PGErrorDetail: CIM-XML%20is%20not%20valid"),
        "{answer}"
    );
    assert!(answer.contains("at byte"), "and where: {answer}");
}

#[test]
fn exports_are_answered_as_exports() {
    let body = "<?xml version=\"1.0\"?><CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"1\" \
                PROTOCOLVERSION=\"1.0\"><SIMPLEEXPREQ><EXPMETHODCALL NAME=\"ExportIndication\">\
                <EXPPARAMVALUE NAME=\"NewIndication\"><INSTANCE CLASSNAME=\"CIM_InstCreation\"/>\
                </EXPPARAMVALUE></EXPMETHODCALL></SIMPLEEXPREQ></MESSAGE></CIM>";
    let text = String::from_utf8(request("x", "")).unwrap();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let head = head
        .replace("CIMOperation: MethodCall", "CIMExport: MethodRequest")
        .replace("CIMMethod: x", "CIMExportMethod: ExportIndication")
        .replace("CIMObject: root/cimv2\r\n", "");
    let (head, _) = head.rsplit_once("Content-Length").unwrap();
    let answer = lab(0, false)
        .send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    assert!(
        answer.contains("<EXPMETHODRESPONSE NAME=\"ExportIndication\"><ERROR CODE=\"7\""),
        "{answer}"
    );
}

#[test]
fn idle_and_slow_clients_are_dropped() {
    let mut lab = lab(0, false);
    let deadline = lab.connection.deadline().unwrap();
    lab.now = deadline;
    lab.connection
        .tick(super::lab::clock(lab.now), &mut lab.server);
    assert!(lab.connection.is_finished(), "an idle connection closes");

    let mut lab = super::lab::lab(0, false);
    let bytes = request("EnumerateQualifiers", "");
    lab.send(&bytes[..60]);
    lab.now = lab.connection.deadline().unwrap();
    lab.connection
        .tick(super::lab::clock(lab.now), &mut lab.server);
    let mut answer = Vec::new();
    lab.drain(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 408"));
    assert!(lab.connection.is_finished());
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    let mut lab = lab(100_000, false);
    let clock = super::lab::clock(lab.now);
    lab.connection.receive(
        &request("EnumerateInstances", CLASS),
        clock,
        &mut lab.server,
    );
    assert!(lab.connection.has_output());
    lab.now = lab.connection.deadline().unwrap();
    assert_eq!(lab.now, Duration::from_secs(30));
    lab.connection
        .tick(super::lab::clock(lab.now), &mut lab.server);
    assert!(lab.connection.is_finished());
}

#[test]
fn connection_ends_after_the_last_answer() {
    let mut lab = lab(1, false);
    let text = String::from_utf8(request_as("admin:secret", "EnumerateQualifiers", "")).unwrap();
    let answer = lab.send(
        text.replace("Host: h", "Host: h\r\nConnection: close")
            .as_bytes(),
    );
    assert!(
        answer.contains("Connection: close\r\n") && answer.ends_with("</CIM>\n"),
        "{answer}"
    );
    assert!(lab.connection.is_finished());
}

#[test]
fn options_tell_what_the_server_can_do_to_those_who_may_ask() {
    let ask = |target: &str, authorization: &str| {
        let text = format!("OPTIONS {target} HTTP/1.1\r\nHost: h\r\n{authorization}\r\n");
        lab(1, false).send(text.as_bytes())
    };
    let known = "Authorization: Basic YWRtaW46c2VjcmV0\r\n";
    for target in ["*", "/cimom", "/"] {
        let answer = ask(target, known);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        for field in [
            "Opt: http://www.dmtf.org/cim/mapping/http/v1.0 ; ns=73\r\n",
            "73-CIMProtocolVersion: 1.4\r\n",
            "73-CIMSupportedQueryLanguages: WQL, DMTF:CQL\r\n",
            "73-CIMValidation: validating\r\n",
            "association-traversal",
            "Allow: POST, M-POST",
            "Content-Length: 0\r\n",
        ] {
            assert!(answer.contains(field), "{field}: {answer}");
        }
        assert!(!answer.contains("CIMSupportsMultipleOperations"));
        assert!(ask(target, "").starts_with("HTTP/1.1 401 "));
    }
    assert!(ask("/elsewhere", known).starts_with("HTTP/1.1 404 "));
}
