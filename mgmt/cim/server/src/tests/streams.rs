//! Long responses: bounded memory, and failures on the way.

use super::lab::{clock, lab, request};

const CLASS: &str =
    "<IPARAMVALUE NAME=\"ClassName\"><CLASSNAME NAME=\"CIM_Processor\"/></IPARAMVALUE>";

#[test]
fn objects_are_made_only_as_fast_as_the_client_reads() {
    let mut lab = lab(1_000_000, false);
    let bytes = request("EnumerateInstances", CLASS);
    lab.connection
        .receive(&bytes, clock(lab.now), &mut lab.server);
    let at_first = lab.made.get();
    assert!(
        at_first < 50,
        "{at_first} made before the client has read anything"
    );
    let mut buffer = [0; 1000];
    let mut read = 0;
    for _ in 0..1_000 {
        read += lab
            .connection
            .transmit(&mut buffer, clock(lab.now), &mut lab.server);
    }
    assert_eq!(read, 1_000_000);
    let made = lab.made.get();
    assert!(made < 1_000, "{made} made for a megabyte");
}

#[test]
fn a_long_response_is_chunked_and_complete() {
    let mut lab = lab(200, false);
    let answer = lab.send(&request("EnumerateInstances", CLASS));
    assert!(answer.contains("Transfer-Encoding: chunked\r\n"));
    assert_eq!(answer.matches("<VALUE.NAMEDINSTANCE>").count(), 200);
    assert!(answer.ends_with("\r\n0\r\n\r\n"));
}

#[test]
fn a_failure_at_the_start_is_an_error_element() {
    let mut lab = lab(5, true);
    let answer = lab.send(&request("EnumerateInstances", CLASS));
    assert!(
        answer.contains("<ERROR CODE=\"1\" DESCRIPTION=\"The &lt;world&gt; has ended.\""),
        "{answer}"
    );
    assert!(!answer.contains("<VALUE.NAMEDINSTANCE>"));
}

#[test]
fn a_failure_in_the_middle_ends_the_body_short_with_the_status_in_the_trailer() {
    let mut lab = lab(300, true);
    let answer = lab.send(&request("EnumerateInstances", CLASS));
    assert!(answer.starts_with("HTTP/1.1 200"));
    assert!(answer.contains("Trailer: CIMStatusCode, CIMStatusCodeDescription\r\n"));
    assert!(!answer.contains("</CIM>"));
    let trailer = answer.split("\r\n0\r\n").nth(1).unwrap();
    assert!(
        trailer.starts_with("CIMStatusCode: 1\r\nCIMStatusCodeDescription: The"),
        "{trailer}"
    );
    // The connection lives on.
    assert!(
        lab.send(&request("EnumerateQualifiers", ""))
            .starts_with("HTTP/1.1 200")
    );
}

#[test]
fn http_1_0_clients_get_an_unchunked_stream() {
    let mut lab = lab(200, false);
    let text = String::from_utf8(request("EnumerateInstances", CLASS)).unwrap();
    let answer = lab.send(text.replace("HTTP/1.1", "HTTP/1.0").as_bytes());
    assert!(!answer.contains("chunked"));
    assert!(answer.ends_with("</CIM>\n"));
    assert!(lab.connection.is_finished());
}
