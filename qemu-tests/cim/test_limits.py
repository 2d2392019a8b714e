"""What the server refuses because it is too much."""

import base64
import concurrent.futures
import socket
import struct
import threading

import pywbem

import target
from patience import ANSWER
from target import CimTest


class LimitTest(CimTest):
    def test_many_connections_at_once(self):
        conns = [target.SERVER.connect() for _ in range(40)]
        barrier = threading.Barrier(len(conns), timeout=ANSWER)

        def work(conn):
            barrier.wait()
            return [len(conn.EnumerateClassNames(ClassName="CIM_System", DeepInheritance=True)) for _ in range(3)]

        try:
            # All are open, and stay so, before the first of them asks for more.
            for conn in conns:
                conn.GetClass("CIM_System")
            with concurrent.futures.ThreadPoolExecutor(len(conns)) as pool:
                counts = [count for counts in pool.map(work, conns) for count in counts]
        finally:
            for conn in conns:
                conn.close()
        self.assertEqual((len(counts), len(set(counts))), (120, 1))

    def test_crowd_of_new_connections(self):
        def work(number):
            conn = target.SERVER.connect()
            names = conn.EnumerateClassNames(ClassName="CIM_System", DeepInheritance=True)
            conn.close()
            return len(names)

        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            counts = set(pool.map(work, range(64)))
        self.assertEqual(len(counts), 1)

    def test_idle_connections_do_not_disturb(self):
        idle = [target.SERVER.open() for _ in range(40)]
        try:
            self.assertTrue(self.conn.EnumerateClassNames())
        finally:
            for sock in idle:
                sock.close()

    def test_clients_that_die_give_their_places_back(self):
        """More of them, each in the middle of something, than the partition keeps sockets or has memory for."""
        self.conn.GetClass("CIM_System")
        body = b"<?xml version='1.0'?>" + b" " * 900_000
        token = base64.b64encode(f"{target.SERVER.user}:{target.SERVER.password}".encode()).decode()
        head = (
            "POST /cimom HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\nCIMOperation: MethodCall\r\n"
            f"CIMMethod: EnumerateClasses\r\nCIMObject: root/cimv2\r\nAuthorization: Basic {token}\r\n"
        )
        call = (
            '<?xml version="1.0"?><CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1" PROTOCOLVERSION="1.0">'
            '<SIMPLEREQ><IMETHODCALL NAME="EnumerateClasses"><LOCALNAMESPACEPATH><NAMESPACE NAME="root"/>'
            '<NAMESPACE NAME="cimv2"/></LOCALNAMESPACEPATH><IPARAMVALUE NAME="DeepInheritance"><VALUE>TRUE</VALUE>'
            "</IPARAMVALUE></IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>"
        ).encode()
        asking = f"{head}Content-Length: {len(call)}\r\n\r\n".encode() + call
        halves = (
            b"PO",
            head.encode(),
            f"{head}Content-Length: 1000000\r\n\r\n".encode() + body,
            f"{head}Transfer-Encoding: chunked\r\n\r\nf0000\r\n".encode() + body,
        )
        for number in range(200):
            with target.SERVER.open() as sock:
                # Some go with a FIN, some with an RST.
                if number % 5 == 0:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if number % 10 == 0:
                    sock.sendall(asking)
                    self.assertTrue(sock.recv(10))
                else:
                    sock.sendall(halves[number % len(halves)])
        for _ in range(3):
            conn = target.SERVER.connect()
            self.assertGreater(len(conn.EnumerateClassNames(DeepInheritance=True)), 100)
            conn.close()

    def test_too_large_heads_and_bodies(self):
        with target.SERVER.open() as sock:
            sock.sendall(b"POST /cimom HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000)
            self.assertIn(b" 431 ", sock.recv(1000))
        with target.SERVER.open() as sock:
            sock.sendall(b"POST /cimom HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
            self.assertIn(b" 413 ", sock.recv(1000))

    def test_deep_queries_are_refused(self):
        query = "SELECT * FROM CIM_System WHERE " + "(" * 500 + "Name = 'x'" + ")" * 500
        self.assertCimError(pywbem.CIM_ERR_INVALID_QUERY, self.conn.ExecQuery, "DMTF:CQL", query)
        query = "SELECT * FROM CIM_System WHERE Name LIKE '" + "(a*)*" * 3000 + "b'"
        self.assertCimError(pywbem.CIM_ERR_INVALID_QUERY, self.conn.ExecQuery, "DMTF:CQL", query)
