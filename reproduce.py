"""``python reproduce.py --quick``: `nchw reproduce` of this checkout."""

import sys

from neurocuda_hw.cli import main

if __name__ == "__main__":
    main(["reproduce", *sys.argv[1:]])
