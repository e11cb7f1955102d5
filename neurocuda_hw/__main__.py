"""``python -m neurocuda_hw``: the command line where its script is not on PATH."""

from neurocuda_hw.cli import main

main()
