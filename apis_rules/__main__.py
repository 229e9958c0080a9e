"""``python -m apis_rules`` is ``apis-rules``."""

import sys

from apis_rules.cli import main

if __name__ == "__main__":
    sys.exit(main())
