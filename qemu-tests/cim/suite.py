#!/usr/bin/env python3
"""Real clients against the WBEM server: pywbem, pywbemcli and sblim-wbemcli.

Runs against the simulator, which it starts itself, or against a server that is already there:

    suite.py --sim PATH-OF-CIM-SIM
    suite.py --url http://HOST:PORT --user NAME --password WORD [--short]

--short leaves out what needs the demonstration world of the simulator. Ends with a line
"N passed, M failed" and the exit status 0 only if nothing failed. Needs pywbem; tests with tools that are not
installed are skipped and counted as such.
"""

import argparse
import collections
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import report  # noqa: E402
import target  # noqa: E402

MODULES = [
    "test_http",
    "test_access",
    "test_classes",
    "test_schema",
    "test_instances",
    "test_own",
    "test_associations",
    "test_pulls",
    "test_queries",
    "test_methods",
    "test_interop",
    "test_indications",
    "test_limits",
    "test_systems",
    "test_host_end",
    "test_pools",
    "test_plugging",
    "test_profiles",
    "test_capabilities",
    "test_boot",
    "test_metrics",
    "test_use_cases",
    "test_tools",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sim", help="start this simulator and test it")
    parser.add_argument("--url", help="test the server at this URL")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--short", action="store_true", help="only what any server can do")
    parser.add_argument("--leave-out", action="append", default=[], help="no tests whose name contains this")
    parser.add_argument("--filter", default="", help="run only tests whose name contains this")
    options = parser.parse_args()
    if bool(options.sim) == bool(options.url):
        parser.error("give either --sim or --url")
    with target.opened(options) as server:
        target.SERVER = server
        suite = unittest.TestSuite()
        for module in MODULES:
            for group in unittest.defaultTestLoader.loadTestsFromName(module):
                for test in group:
                    left_out = any(word in test.id() for word in options.leave_out)
                    if options.filter in test.id() and not left_out:
                        suite.addTest(test)
        result, failed = report.run(suite)
    skipped = len(result.skipped)
    passed = result.testsRun - failed - skipped
    reasons = collections.Counter(reason for _, reason in result.skipped)
    for reason, count in reasons.items():
        print(f"{count} skipped: {reason}")
    if server.died:
        print("the simulator died during the tests")
        failed += 1
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
