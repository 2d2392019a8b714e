"""HTTP and CIM-XML to the letter, over plain sockets."""

import base64
import http.client
import socket

import target
from patience import ANSWER
from target import CimTest

ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<CIM CIMVERSION="{cim}" DTDVERSION="{dtd}"><MESSAGE ID="{id}" PROTOCOLVERSION="{protocol}">'
    "{content}</MESSAGE></CIM>"
)
CALL = (
    '<SIMPLEREQ><IMETHODCALL NAME="{method}"><LOCALNAMESPACEPATH><NAMESPACE NAME="root"/>'
    '<NAMESPACE NAME="cimv2"/></LOCALNAMESPACEPATH>{params}</IMETHODCALL></SIMPLEREQ>'
)


def message(content=None, method="EnumerateQualifiers", params="", cim="2.0", dtd="2.0", protocol="1.0", id="77"):
    content = content or CALL.format(method=method, params=params)
    return ENVELOPE.format(cim=cim, dtd=dtd, protocol=protocol, id=id, content=content).encode()


class HttpTest(CimTest):
    """One raw request each."""

    def headers(self, **changes):
        token = base64.b64encode(f"{target.SERVER.user}:{target.SERVER.password}".encode()).decode()
        headers = {
            "Authorization": f"Basic {token}",
            "Content-Type": 'application/xml; charset="utf-8"',
            "CIMOperation": "MethodCall",
            "CIMMethod": "EnumerateQualifiers",
            "CIMObject": "root/cimv2",
        }
        for name, value in changes.items():
            name = name.replace("_", "-")
            if value is None:
                headers.pop(name, None)
            else:
                headers[name] = value
        return headers

    def ask(self, body=None, method="POST", path="/cimom", headers=None):
        conn = http.client.HTTPConnection(*target.SERVER.address, timeout=ANSWER)
        self.addCleanup(conn.close)
        conn.request(method, path, message() if body is None else body, headers or self.headers())
        response = conn.getresponse()
        response.text = response.read().decode("utf-8")
        return response

    def raw(self, data, count=1):
        """Sends bytes and returns everything until the server closes or as many answers have come."""
        with socket.create_connection(target.SERVER.address, timeout=ANSWER) as sock:
            sock.sendall(data)
            received = b""
            while received.count(b"</CIM>") < count:
                piece = sock.recv(65536)
                if not piece:
                    break
                received += piece
        return received

    def head_bytes(self, length, extra="", line="POST /cimom HTTP/1.1", **changes):
        lines = [line, "Host: x"] + [f"{name}: {value}" for name, value in self.headers(**changes).items()]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        return ("\r\n".join(lines) + "\r\n" + extra + "\r\n").encode()

    def test_good_request_is_answered_with_the_right_head(self):
        response = self.ask()
        self.assertEqual(response.status, 200)
        self.assertEqual(response.getheader("CIMOperation"), "MethodResponse")
        self.assertTrue(response.getheader("Content-Type").startswith("application/xml"))
        self.assertIn('MESSAGE ID="77"', response.text)
        self.assertIn("QUALIFIER.DECLARATION", response.text)

    def test_greeting_needs_no_password_and_says_nothing_else(self):
        response = self.ask(method="GET", path="/", body=b"", headers={})
        self.assertEqual(response.status, 200)
        self.assertLess(len(response.text), 300)
        self.assertEqual(self.ask(method="GET", path="/cimom", body=b"", headers={}).status, 404)
        self.assertEqual(self.ask(path="/elsewhere").status, 404)

    def test_other_methods_are_refused(self):
        response = self.ask(method="PUT")
        self.assertIn(response.status, (405, 501))

    def test_missing_and_wrong_credentials(self):
        for value in (None, "Basic", "Basic !!!", "Digest x", "Basic " + base64.b64encode(b"x:y").decode()):
            response = self.ask(headers=self.headers(Authorization=value))
            self.assertEqual(response.status, 401, value)
            self.assertIn("Basic", response.getheader("WWW-Authenticate"))
            self.assertNotIn("<CIM", response.text)

    def refused(self, status, error, body=None, **changes):
        response = self.ask(body=body, headers=self.headers(**changes))
        self.assertEqual((response.status, response.getheader("CIMError")), (status, error), response.text)

    def test_header_rules(self):
        self.refused(400, "unsupported-operation", CIMOperation="Something")
        self.refused(400, None, CIMOperation=None)
        self.refused(400, None, Content_Type=None)
        self.refused(400, None, Content_Type="text/plain")
        self.refused(400, "header-mismatch", CIMMethod=None)
        self.refused(400, "header-mismatch", CIMMethod="GetClass")
        self.refused(400, "header-mismatch", CIMMethod="%zz")
        self.refused(400, "header-mismatch", CIMObject=None)
        self.refused(400, "header-mismatch", CIMObject="root/other")
        self.refused(501, "unsupported-protocol-version", CIMProtocolVersion="2.0")
        self.refused(400, "header-mismatch", CIMProtocolVersion="1.4")
        self.refused(501, "multiple-requests-unsupported", CIMBatch="")

    def test_batches_are_refused_as_such(self):
        one = CALL.format(method="EnumerateQualifiers", params="")
        batch = message(content=f"<MULTIREQ>{one}{one}</MULTIREQ>")
        self.refused(400, "header-mismatch", body=batch)
        self.refused(501, "multiple-requests-unsupported", body=batch, CIMBatch="", CIMMethod=None, CIMObject=None)

    def test_options_tell_what_the_server_can_do(self):
        headers = {"Authorization": self.headers()["Authorization"]}
        response = self.ask(method="OPTIONS", path="*", body=b"", headers=headers)
        self.assertEqual(response.status, 200)
        extension, _, prefix = response.getheader("Opt").partition(" ; ns=")
        self.assertEqual(extension, "http://www.dmtf.org/cim/mapping/http/v1.0")
        self.assertEqual(response.getheader(f"{prefix}-CIMValidation"), "validating")
        self.assertIn("query-execution", response.getheader(f"{prefix}-CIMSupportedFunctionalGroups"))
        self.assertIsNone(response.getheader(f"{prefix}-CIMSupportsMultipleOperations"))
        stranger = self.ask(method="OPTIONS", path="*", body=b"", headers={"Accept": "*/*"})
        self.assertEqual(stranger.status, 401)

    def test_few_remaining_objects_are_counted(self):
        opened = self.conn.OpenEnumerateInstances("CIM_Namespace", namespace="interop", MaxObjectCount=1)
        value = f'<IPARAMVALUE NAME="EnumerationContext"><VALUE>{opened.context[0]}</VALUE></IPARAMVALUE>'
        body = message(method="EnumerationCount", params=value).replace(
            b'<NAMESPACE NAME="root"/><NAMESPACE NAME="cimv2"/>', b'<NAMESPACE NAME="interop"/>')
        response = self.ask(body, headers=self.headers(CIMMethod="EnumerationCount", CIMObject="interop"))
        left = len(self.conn.EnumerateInstanceNames("CIM_Namespace", namespace="interop")) - 1
        self.assertIn(f"<IRETURNVALUE><VALUE>{left}</VALUE></IRETURNVALUE>", response.text)

    def test_versions(self):
        self.refused(501, "unsupported-cim-version", body=message(cim="3.0"))
        self.refused(501, "unsupported-dtd-version", body=message(dtd="1.0"))
        self.refused(501, "unsupported-protocol-version", body=message(protocol="2.0"))

    def test_percent_escaped_headers_are_read(self):
        response = self.ask(headers=self.headers(CIMObject="root%2Fcimv2", CIMMethod="Enumerate%51ualifiers"))
        self.assertEqual(response.status, 200)

    def test_broken_xml(self):
        for body in (b"", b"<", b"<CIM>", message()[:-3], message().replace(b"</MESSAGE>", b"</MESSGE>"),
                     message(params="&undefined;"), message(params='<IPARAMVALUE NAME="a" NAME="b"/>')):
            response = self.ask(body=body)
            self.assertEqual(response.status, 400, body)
            self.assertIn(response.getheader("CIMError"), ("request-not-well-formed", "request-not-valid"))

    def test_invalid_cim_xml(self):
        for body in (message(content="<SIMPLEREQ/>"), message(params="<NONSENSE/>"),
                     message(params='<IPARAMVALUE><VALUE>x</VALUE></IPARAMVALUE>')):
            self.refused(400, "request-not-valid", body=body)

    def test_document_types_and_entities_are_refused(self):
        bomb = b'<?xml version="1.0"?><!DOCTYPE CIM [<!ENTITY a "aaaa">]>' + message().split(b"?>", 1)[1]
        response = self.ask(body=bomb)
        self.assertEqual(response.status, 400)

    def test_unknown_operation_and_parameters_are_cim_errors(self):
        headers = self.headers(CIMMethod="Frobnicate")
        response = self.ask(body=message(method="Frobnicate"), headers=headers)
        self.assertEqual(response.status, 200)
        self.assertIn('ERROR CODE="7"', response.text)
        params = '<IPARAMVALUE NAME="Colour"><VALUE>red</VALUE></IPARAMVALUE>'
        self.assertIn('ERROR CODE="4"', self.ask(body=message(params=params)).text)

    def test_m_post(self):
        headers = {
            name: value for name, value in self.headers().items() if not name.startswith("CIM")
        }
        headers["Man"] = "http://www.dmtf.org/cim/mapping/http/v1.0;ns=23"
        for name in ("CIMOperation", "CIMMethod", "CIMObject"):
            headers["23-" + name] = self.headers()[name]
        response = self.ask(method="M-POST", headers=headers)
        self.assertEqual(response.status, 200)
        self.assertEqual(response.getheader("23-CIMOperation"), "MethodResponse")
        self.assertIsNotNone(response.getheader("Ext"))
        self.assertEqual(self.ask(method="M-POST").status, 510)

    def test_chunked_body_with_trailer(self):
        body = message()
        head = self.head_bytes(None, "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n")
        middle = len(body) // 2
        chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in (body[:middle], body[middle:]))
        answer = self.raw(head + chunks + b"0\r\nX-Sum: 1\r\n\r\n")
        self.assertIn(b"200 OK", answer.split(b"\r\n")[0])
        self.assertIn(b"QUALIFIER.DECLARATION", answer)

    def test_pipelined_requests_are_answered_in_order(self):
        first, second = message(id="1"), message(id="2")
        data = self.head_bytes(len(first)) + first + self.head_bytes(len(second)) + second
        answer = self.raw(data, count=2)
        self.assertLess(answer.index(b'MESSAGE ID="1"'), answer.index(b'MESSAGE ID="2"'))

    def test_expect_continue(self):
        body = message()
        with socket.create_connection(target.SERVER.address, timeout=ANSWER) as sock:
            sock.sendall(self.head_bytes(len(body), "Expect: 100-continue\r\n"))
            self.assertTrue(sock.recv(1024).startswith(b"HTTP/1.1 100"))
            sock.sendall(body)
            self.assertIn(b"200 OK", sock.recv(65536))

    def test_framing_that_could_be_read_twice_is_refused(self):
        body = message()
        for extra in (f"Content-Length: {len(body) + 1}\r\n", "Transfer-Encoding: chunked\r\n"):
            answer = self.raw(self.head_bytes(len(body), extra) + body)
            self.assertIn(b" 400 ", answer.split(b"\r\n")[0], extra)
        answer = self.raw(self.head_bytes("x"))
        self.assertIn(b" 400 ", answer.split(b"\r\n")[0])
        answer = self.raw(b"POST /cimom HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        self.assertIn(b" 400 ", answer.split(b"\r\n")[0])

    def test_http_1_0_without_host(self):
        body = message()
        head = self.head_bytes(len(body), line="POST /cimom HTTP/1.0").replace(b"Host: x\r\n", b"")
        self.assertIn(b"200 OK", self.raw(head + body))

    def test_clients_that_vanish_leave_the_server_well(self):
        body = message()
        for cut in (1, 40, 300, len(body) // 2):
            with socket.create_connection(target.SERVER.address, timeout=ANSWER) as sock:
                sock.sendall((self.head_bytes(len(body)) + body)[:cut])
        # One that asks for much and does not read it.
        body = message(method="EnumerateClasses", params='<IPARAMVALUE NAME="DeepInheritance"><VALUE>TRUE</VALUE></IPARAMVALUE>')
        with socket.create_connection(target.SERVER.address, timeout=ANSWER) as sock:
            sock.sendall(self.head_bytes(len(body), CIMMethod="EnumerateClasses") + body)
            sock.recv(10)
        self.assertEqual(self.ask().status, 200)
