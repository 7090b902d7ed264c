"""``python -m liveproof.cli``, where the command is not installed."""

import sys

from liveproof.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
