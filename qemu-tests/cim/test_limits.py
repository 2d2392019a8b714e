"""What the server refuses because it is too much."""

import concurrent.futures
import socket

import pywbem

import target
from target import CimTest


class LimitTest(CimTest):
    def test_many_connections_at_once(self):
        def work(number):
            conn = target.SERVER.connect()
            names = conn.EnumerateClassNames(ClassName="CIM_System", DeepInheritance=True)
            conn.close()
            return len(names)

        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            counts = set(pool.map(work, range(64)))
        self.assertEqual(len(counts), 1)

    def test_idle_connections_do_not_disturb(self):
        idle = [socket.create_connection(target.SERVER.address, timeout=20) for _ in range(40)]
        try:
            self.assertTrue(self.conn.EnumerateClassNames())
        finally:
            for sock in idle:
                sock.close()

    def test_too_large_heads_and_bodies(self):
        with socket.create_connection(target.SERVER.address, timeout=20) as sock:
            sock.sendall(b"POST /cimom HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000)
            self.assertIn(b" 431 ", sock.recv(1000))
        with socket.create_connection(target.SERVER.address, timeout=20) as sock:
            sock.sendall(b"POST /cimom HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
            self.assertIn(b" 413 ", sock.recv(1000))

    def test_deep_queries_are_refused(self):
        query = "SELECT * FROM CIM_System WHERE " + "(" * 500 + "Name = 'x'" + ")" * 500
        self.assertCimError(pywbem.CIM_ERR_INVALID_QUERY, self.conn.ExecQuery, "DMTF:CQL", query)
        query = "SELECT * FROM CIM_System WHERE Name LIKE '" + "(a*)*" * 3000 + "b'"
        self.assertCimError(pywbem.CIM_ERR_INVALID_QUERY, self.conn.ExecQuery, "DMTF:CQL", query)
