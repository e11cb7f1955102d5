"""What all stands on: errors, exact fixed point, files, progress, the tools of this machine."""
