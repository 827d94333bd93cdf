"""The command ``studio-search``, the same as the native program."""

import signal
import sys

from . import _native


def main() -> int:
    """Do what ``sys.argv`` says; the exit code is the result."""
    # Python would only note Ctrl-C until the command returns; the command listens for itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.main(["studio-search", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
