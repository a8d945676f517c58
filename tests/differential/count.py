"""What the runners have passed and failed."""

import sys


class Count:
    passed = failed = 0

    def row(self, label, lines):
        """One check: passed when there are no `lines` about it."""
        if lines:
            print(f"FAILED   {label}")
            for line in lines:
                print(f"             {line}")
        self.passed, self.failed = self.passed + (not lines), self.failed + bool(lines)
        sys.stdout.flush()

    def finish(self):
        """The closing line. Returns the exit status."""
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0
