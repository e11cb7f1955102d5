"""The commands of ``nchw``, one file each: parse, call, print."""
