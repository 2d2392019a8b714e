#!/usr/bin/env python3
"""Guests through the real management plane: images, definitions, boots, consoles, states, isolation, use cases, metrics.

    guests.py --url http://HOST:PORT --user NAME --password WORD --kernel FILE --initrd FILE --log FILE

With --boot-modules the machine has kernel and initramfs as boot modules and no disk for others, as Bochs has not: only the tests of
a BothBackendsTest run. FILE of --log is the machine's console, where the partition says what is free. Tests of a LongTest run only if a --filter
names them. Ends with a line "N passed, M failed".
"""

import argparse
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import guest_target  # noqa: E402
import machine_evidence  # noqa: E402
import report  # noqa: E402
import target  # noqa: E402

MODULES = [
    "test_guest_kinds",
    "test_guest_states",
    "test_guest_pools",
    "test_guest_isolation",
    "test_guest_linux",
    "test_guest_plugging",
    "test_guest_metrics",
    "test_use_cases",
    "test_capabilities",
    "test_profiles",
]


def is_chosen(name, filters, boot_modules):
    if boot_modules and ".BothBackendsTest." not in name:
        return False
    if not filters:
        return ".LongTest." not in name
    return any(word in name for word in filters)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for word in ("--url", "--user", "--password", "--kernel", "--initrd", "--log"):
        parser.add_argument(word, required=True)
    parser.add_argument("--monitor", help="unix socket of QEMU's monitor, for a look at a machine in which a test failed")
    parser.add_argument("--qemu", default="qemu-system-x86_64", help="for a machine to compare with")
    parser.add_argument("--filter", action="append", default=[], help="run only tests whose name contains one of these")
    parser.add_argument("--boot-modules", action="store_true", help="kernel and initramfs are boot modules already")
    options = parser.parse_args()
    target.SERVER = target.Server(options.url, options.user, options.password, False)
    guest_target.OPTIONS = options
    suite = unittest.TestSuite()
    for module in MODULES:
        for group in unittest.defaultTestLoader.loadTestsFromName(module):
            suite.addTests(test for test in group if is_chosen(test.id(), options.filter, options.boot_modules))
    result, failed = report.run(suite, machine_evidence.lines, verbosity=2)
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed")
    return 0 if failed == 0 and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
