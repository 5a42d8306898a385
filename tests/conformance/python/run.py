"""Runs the suite with the SDK of this interpreter: run.py SDK_VERSION.

Needs KEYSHERD_BOOTSTRAP (the server's bootstrap.json), KEYSHERD_COMMANDS (what describe-commands
printed) and KEYSHERD_MODELS (v2-api.json). KEYSHERD_ONLY limits it to tests whose name contains
that text; the demand that every command was called is dropped then.
"""

import importlib.metadata
import os
import sys
import unittest

import scenarios
import test_matrix
from world import world


class Coverage(unittest.TestCase):
    """Every served command was called as it should be. Runs last."""

    def test_every_name_succeeded(self):
        missing = [name for name in world().commands
                   if name not in world().succeeded and name not in scenarios.NEVER_SUCCEEDS]
        self.assertEqual(missing, [], "never succeeded")

    def test_every_refusal_was_seen(self):
        missing = []
        for name, served in world().commands.items():
            entry = scenarios.SCENARIOS.get(served.current)
            wanted = {401} if served.needs_token or name in ("auth", "configure") else set()
            wanted |= {400} if served.required else set()
            if entry is not None:
                wanted |= {404} if entry.with_absent else set()
                wanted |= {409} if entry.twice else set()
            missing += [f"{name} {status}" for status in sorted(wanted)
                        if (name, status) not in world().refused]
        self.assertEqual(missing, [], "never refused with")




def tests():
    """All tests, the one about coverage last."""
    test_matrix.make_tests()
    directory = os.path.dirname(os.path.abspath(__file__))
    suite = unittest.defaultTestLoader.discover(directory, "test_*.py")
    only = os.environ.get("KEYSHERD_ONLY")
    chosen = [test for test in flat(suite) if only is None or only in test.id()]
    if only is None:
        chosen += flat(unittest.defaultTestLoader.loadTestsFromTestCase(Coverage))
    return unittest.TestSuite(chosen)


def flat(suite):
    """The tests of a suite and its suites."""
    if isinstance(suite, unittest.TestCase):
        return [suite]
    return [test for part in suite for test in flat(part)]


def main():
    wanted, found = sys.argv[1], importlib.metadata.version("akeyless")
    if wanted != found:
        sys.exit(f"akeyless {wanted} is wanted, but this is {found}")
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=0, buffer=False)
    result = runner.run(tests())
    broken = {test_of(test).id() for test, _ in result.failures + result.errors}
    print(f"{result.testsRun - len(broken)} passed, {len(broken)} failed", flush=True)
    sys.exit(1 if broken else 0)


def test_of(test):
    """The test that a sub-test belongs to."""
    return getattr(test, "test_case", test)


if __name__ == "__main__":
    main()
